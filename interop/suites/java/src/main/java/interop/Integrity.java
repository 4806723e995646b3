package interop;

import static interop.Check.raised;
import static interop.Check.same;

import com.azure.containers.containerregistry.models.OciImageManifest;
import com.azure.containers.containerregistry.models.UploadRegistryBlobResult;
import com.azure.core.exception.ServiceResponseException;
import com.azure.core.util.BinaryData;
import java.nio.charset.StandardCharsets;
import java.util.List;

/** What the SDK says to answers that are not what they should be: `changed_answers` in common.sh. */
final class Integrity {
    /** Not that of anything. */
    private static final String OTHER = "sha256:" + "0".repeat(64);

    private final Calls calls;
    private final Content content;

    Integrity(Calls calls, Content content) {
        this.calls = calls;
        this.content = content;
    }

    void readManifest() throws Exception {
        String digest = content.push("read", "v1", "layer");
        for (String reference : List.of("v1", digest)) {
            raised(ServiceResponseException.class,
                    () -> calls.call(content.client("read"), "getManifest", reference));
        }
    }

    void readBlob() throws Exception {
        String layer = "changed on the way";
        content.push("changed", "v1", layer);
        String digest = Content.digestOf(layer.getBytes(StandardCharsets.UTF_8));
        raised(ServiceResponseException.class, () -> content.download("changed", digest));
    }

    /** What should be an error. */
    void storedManifest() throws Exception {
        OciImageManifest manifest = content.manifest("elsewhere", "layer");
        for (String part : List.of("layer", Content.CONFIG)) {
            upload(part);
        }
        same(content.put("stored", "v1", manifest).getDigest(), OTHER, "digest");
    }

    /** What should be an error. */
    void storedBlob() throws Exception {
        same(upload("layer").getDigest(), OTHER, "digest");
    }

    private UploadRegistryBlobResult upload(String text) throws Exception {
        return calls.call(content.client("stored"), "uploadBlob", BinaryData.fromString(text));
    }
}
