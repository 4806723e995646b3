package interop;

import static interop.Check.refused;
import static interop.Check.same;

import com.azure.containers.containerregistry.models.GetManifestResult;
import com.azure.containers.containerregistry.models.ManifestMediaType;
import com.azure.containers.containerregistry.models.OciDescriptor;
import com.azure.containers.containerregistry.models.OciImageManifest;
import com.azure.containers.containerregistry.models.SetManifestOptions;
import com.azure.containers.containerregistry.models.SetManifestResult;
import com.azure.containers.containerregistry.models.UploadRegistryBlobResult;
import com.azure.core.exception.HttpResponseException;
import com.azure.core.util.BinaryData;
import java.io.ByteArrayOutputStream;
import java.nio.channels.Channels;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.util.Arrays;
import java.util.HexFormat;
import java.util.List;
import java.util.Random;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.FutureTask;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;

/** Manifests and blobs. */
final class Content {
    static final String OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json";
    static final String OCI_INDEX = "application/vnd.oci.image.index.v1+json";
    static final String CONFIG = "{\"architecture\":\"amd64\",\"os\":\"linux\"}";
    private static final int CHUNK = 4 * 1024 * 1024; // what the SDK sends in one request

    private final Calls calls;
    private final boolean async;
    private final Registry registry;
    private final String prefix;
    private String within = "";

    Content(Calls calls, boolean async, String prefix) {
        this.calls = calls;
        this.async = async;
        this.registry = new Registry(async, System.getenv("ACR_ENTRA_TOKEN"));
        this.prefix = prefix;
    }

    /** From here on in repositories below this name. */
    void within(String name) {
        within = name;
    }

    Registry registry() {
        return registry;
    }

    String repository(String name) {
        return prefix + "/" + within + "/" + name;
    }

    Object client(String name) {
        return registry.content(repository(name));
    }

    static String digestOf(byte[] bytes) {
        try {
            byte[] hash = MessageDigest.getInstance("SHA-256").digest(bytes);
            return "sha256:" + HexFormat.of().formatHex(hash);
        } catch (java.security.NoSuchAlgorithmException error) {
            throw new IllegalStateException(error);
        }
    }

    private String upload(String name, byte[] bytes) throws Exception {
        UploadRegistryBlobResult blob =
                calls.call(client(name), "uploadBlob", BinaryData.fromBytes(bytes));
        same(blob.getDigest(), digestOf(bytes), "digest");
        same(blob.getSizeInBytes(), (long) bytes.length, "size");
        return blob.getDigest();
    }

    byte[] download(String name, String digest) throws Exception {
        return download(calls, client(name), digest);
    }

    byte[] download(Calls calls, Object client, String digest) throws Exception {
        if (async) {
            BinaryData data = calls.call(client, "downloadStream", digest);
            return data.toBytes();
        }
        ByteArrayOutputStream bytes = new ByteArrayOutputStream();
        calls.call(client, "downloadStream", digest, Channels.newChannel(bytes));
        return bytes.toByteArray();
    }

    /** The manifest of an image with one layer, whose parts are pushed. */
    OciImageManifest manifest(String name, String layer) throws Exception {
        byte[] config = CONFIG.getBytes(StandardCharsets.UTF_8);
        byte[] bytes = layer.getBytes(StandardCharsets.UTF_8);
        return new OciImageManifest()
                .setSchemaVersion(2)
                .setConfiguration(new OciDescriptor()
                        .setMediaType("application/vnd.oci.image.config.v1+json")
                        .setDigest(upload(name, config))
                        .setSizeInBytes((long) config.length))
                .setLayers(List.of(new OciDescriptor()
                        .setMediaType("application/vnd.oci.image.layer.v1.tar")
                        .setDigest(upload(name, bytes))
                        .setSizeInBytes((long) bytes.length)));
    }

    SetManifestResult put(String name, String tag, OciImageManifest manifest) throws Exception {
        return put(calls, client(name), tag, manifest);
    }

    SetManifestResult put(Calls calls, Object client, String tag, OciImageManifest manifest)
            throws Exception {
        return calls.detailed
                ? calls.call(client, "setManifest", new SetManifestOptions(manifest).setTag(tag))
                : calls.call(client, "setManifest", manifest, tag);
    }

    /** An image with one layer; gives its digest. */
    String push(String name, String tag, String layer) throws Exception {
        String digest = put(name, tag, manifest(name, layer)).getDigest();
        same(digest.length(), 71, "length of the digest");
        return digest;
    }

    void manifests() throws Exception {
        String digest = push("content", "v1", "content");
        for (String reference : List.of("v1", digest)) {
            GetManifestResult found = calls.call(client("content"), "getManifest", reference);
            same(found.getDigest(), digest, "digest");
            same(found.getManifestMediaType(), ManifestMediaType.OCI_IMAGE_MANIFEST, "type");
            same(digestOf(found.getManifest().toBytes()), digest, "digest of the bytes");
        }
        refused(404, () -> calls.call(client("content"), "getManifest", "absent"));
    }

    void index() throws Exception {
        String digest = push("content", "child", "content");
        GetManifestResult child = calls.call(client("content"), "getManifest", digest);
        String index = "{\"schemaVersion\":2,\"mediaType\":\"" + OCI_INDEX + "\",\"manifests\":[{\"mediaType\":\""
                + OCI_MANIFEST + "\",\"digest\":\"" + digest + "\",\"size\":"
                + child.getManifest().toBytes().length
                + ",\"platform\":{\"architecture\":\"amd64\",\"os\":\"linux\"}}]}";
        SetManifestOptions options = new SetManifestOptions(
                BinaryData.fromString(index), ManifestMediaType.fromString(OCI_INDEX)).setTag("multi");
        boolean detailed = calls.detailed;
        calls.detailed = true; // there is no other way to name a media type
        SetManifestResult stored = calls.call(client("content"), "setManifest", options);
        calls.detailed = detailed;
        same(stored.getDigest(), digestOf(index.getBytes(StandardCharsets.UTF_8)), "digest");
        GetManifestResult found = calls.call(client("content"), "getManifest", "multi");
        same(found.getManifest().toString(), index, "index");
    }

    void missingLayer() throws Exception {
        OciImageManifest manifest = manifest("content", "content");
        manifest.getLayers().get(0).setDigest(digestOf(new byte[] {2}));
        HttpResponseException error = refused(400, () -> put("content", "bad", manifest));
        String body = error.getResponse().getBodyAsString().block();
        same(body.contains("\"MANIFEST_BLOB_UNKNOWN\""), true, body);
    }

    void blobs() throws Exception {
        byte[] bytes = new byte[2 * CHUNK + 17];
        // Others in each repository, since the storage tells content apart by digest only.
        new Random(repository("chunks").hashCode()).nextBytes(bytes);
        String digest = upload("chunks", bytes);
        same(Arrays.equals(download("chunks", digest), bytes), true, "the bytes that came back");
        List<Integer> sent = Journal.answered("upload_chunk", 202, repository("chunks"));
        // The sync client sends what is left with the request that completes the upload.
        sent.addAll(Journal.answered("complete_upload", 201, repository("chunks")));
        same(sent, async ? List.of(CHUNK, CHUNK, 17, 0) : List.of(CHUNK, CHUNK, 17), "chunks that were sent");
        int ranges = Journal.answered("get_storage", 206, digest.substring(7)).size();
        same(ranges, 3, "ranges that were asked for");
        refused(404, () -> download("content", digestOf(new byte[] {1})));
    }

    void emptyBlob() throws Exception {
        String digest = upload("content", new byte[0]);
        // On a thread that keeps nobody waiting: it may never end.
        FutureTask<byte[]> download = new FutureTask<>(() -> download("content", digest));
        Thread thread = new Thread(download);
        thread.setDaemon(true);
        thread.start();
        try {
            byte[] bytes = download.get(5, TimeUnit.SECONDS);
            throw new AssertionError("it was downloaded: " + bytes.length + " bytes");
        } catch (TimeoutException error) {
            same(async, true, "only the async client waits");
        } catch (ExecutionException error) {
            Throwable cause = error.getCause().getCause();
            same(cause instanceof LinkageError && !async, true, "a LinkageError: " + error);
        }
    }

    /** What our clients pushed; called once, for the image is one. */
    void readOurs() throws Exception {
        Object client = registry.content(System.getenv("OURS_REPOSITORY"));
        GetManifestResult found = calls.call(client, "getManifest", "v1");
        same(found.getDigest(), System.getenv("OURS_DIGEST"), "digest");
        OciImageManifest manifest = found.getManifest().toObject(OciImageManifest.class);
        List<OciDescriptor> parts = new java.util.ArrayList<>(manifest.getLayers());
        parts.add(manifest.getConfiguration());
        for (OciDescriptor part : parts) {
            byte[] bytes = download(calls, client, part.getDigest());
            same(digestOf(bytes), part.getDigest(), "digest");
            same((long) bytes.length, part.getSizeInBytes(), "size");
        }
    }

    /** Leaves an image, and its digest, for our clients. */
    void pushTheirs() throws Exception {
        within = "cross";
        String digest = push("theirs", "v1", "theirs");
        String kind = async ? "async" : "sync";
        Files.writeString(Path.of(System.getenv("THEIRS_DIGEST") + "-" + kind), digest);
    }

    void deleteBlob() throws Exception {
        String digest = upload("content", "to be deleted".getBytes(StandardCharsets.UTF_8));
        calls.call(client("content"), "deleteBlob", digest);
        refused(404, () -> download("content", digest));
        calls.call(client("content"), "deleteBlob", digest);
    }
}
