package interop;

import static interop.Check.refused;
import static interop.Check.same;

import com.azure.containers.containerregistry.models.ArtifactManifestProperties;
import com.azure.containers.containerregistry.models.ArtifactTagProperties;
import com.azure.containers.containerregistry.models.ContainerRepositoryProperties;
import com.azure.containers.containerregistry.models.GetManifestResult;
import com.azure.containers.containerregistry.models.OciImageManifest;
import com.azure.core.util.BinaryData;
import java.nio.charset.StandardCharsets;
import java.util.List;

/** What those may do who have no credential, or a wrong one. */
final class Rights {
    private static final String LAYER = "for everybody";

    private final Calls calls;
    /** Apart, for what others are refused has not been tried. */
    private final Calls others = new Calls();
    private final Content content;
    private final Registry nobody;
    private final Registry impostor;

    Rights(Calls calls, boolean async, Content content) {
        this.calls = calls;
        this.content = content;
        this.nobody = new Registry(async, null);
        this.impostor = new Registry(async, "somebody else's token");
    }

    private String name() {
        return content.repository("public");
    }

    private String push() throws Exception {
        others.detailed = calls.detailed;
        return content.push("public", "v1", LAYER);
    }

    private Object repository(Registry registry) throws Exception {
        return others.call(registry.client(), "getRepository", name());
    }

    private Object artifact(Registry registry) throws Exception {
        return others.call(registry.client(), "getArtifact", name(), "v1");
    }

    private static String layerDigest() {
        return Content.digestOf(LAYER.getBytes(StandardCharsets.UTF_8));
    }

    void anonymousLists() throws Exception {
        String digest = push();
        List<List<String>> names = others.pages(100, nobody.client(), "listRepositoryNames");
        same(names.stream().flatMap(List::stream).filter(name()::equals).count(), 1L, "repository");
        List<List<ArtifactTagProperties>> tags =
                others.pages(9, artifact(nobody), "listTagProperties");
        same(tags.get(0).size(), 1, "tags");
        same(tags.get(0).get(0).getName(), "v1", "tag");
        same(tags.get(0).get(0).getDigest(), digest, "digest");
        List<List<ArtifactManifestProperties>> manifests =
                others.pages(9, repository(nobody), "listManifestProperties");
        same(manifests.get(0).size(), 1, "manifests");
        same(manifests.get(0).get(0).getDigest(), digest, "digest");
    }

    void anonymousReads() throws Exception {
        String digest = push();
        ContainerRepositoryProperties repository =
                others.call(repository(nobody), "getProperties");
        same(repository.getTagCount(), 1, "tags");
        ArtifactTagProperties tag = others.call(artifact(nobody), "getTagProperties", "v1");
        same(tag.getDigest(), digest, "digest");
        ArtifactManifestProperties manifest =
                others.call(artifact(nobody), "getManifestProperties");
        same(manifest.getTags(), List.of("v1"), "tags");
        Object client = nobody.content(name());
        GetManifestResult found = others.call(client, "getManifest", "v1");
        same(Content.digestOf(found.getManifest().toBytes()), digest, "digest of the bytes");
        byte[] layer = content.download(others, client, layerDigest());
        same(new String(layer, StandardCharsets.UTF_8), LAYER, "layer");
    }

    void anonymousWrites() throws Exception {
        String digest = push();
        Object repository = repository(nobody);
        Object artifact = artifact(nobody);
        Object client = nobody.content(name());
        OciImageManifest manifest = content.manifest("public", LAYER);
        ContainerRepositoryProperties ofRepository = others.call(repository, "getProperties");
        ArtifactManifestProperties ofManifest = others.call(artifact, "getManifestProperties");
        ArtifactTagProperties ofTag = others.call(artifact, "getTagProperties", "v1");
        ofRepository.setDeleteEnabled(false);
        ofManifest.setDeleteEnabled(false);
        ofTag.setDeleteEnabled(false);
        for (Rows.Attempt write : List.<Rows.Attempt>of(
                () -> others.call(artifact, "deleteTag", "v1"),
                () -> others.call(artifact, "delete"),
                () -> others.call(repository, "delete"),
                () -> others.call(nobody.client(), "deleteRepository", name()),
                () -> others.call(client, "deleteManifest", digest),
                () -> others.call(client, "deleteBlob", layerDigest()),
                () -> others.call(artifact, "updateTagProperties", "v1", ofTag),
                () -> others.call(artifact, "updateManifestProperties", ofManifest),
                () -> others.call(repository, "updateProperties", ofRepository),
                () -> others.call(client, "uploadBlob", BinaryData.fromString("from nobody")),
                () -> content.put(others, client, "v2", manifest))) {
            refused(401, write);
        }
        Object mine = calls.call(content.registry().client(), "getRepository", name());
        ContainerRepositoryProperties found = calls.call(mine, "getProperties");
        same(found.isDeleteEnabled(), true, "flag");
        same(found.getTagCount(), 1, "tags");
        GetManifestResult kept = calls.call(content.client("public"), "getManifest", "v1");
        same(kept.getDigest(), digest, "digest");
    }

    void wrongToken() throws Exception {
        push();
        Object client = impostor.content(name());
        refused(401, () -> others.call(repository(impostor), "getProperties"));
        refused(401, () -> others.call(client, "getManifest", "v1"));
        refused(401, () -> others.call(client, "uploadBlob", BinaryData.fromString("layer")));
    }
}
