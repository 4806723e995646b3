package interop;

import static interop.Check.refused;
import static interop.Check.same;

import com.azure.containers.containerregistry.models.ArtifactManifestOrder;
import com.azure.containers.containerregistry.models.ArtifactManifestProperties;
import com.azure.containers.containerregistry.models.ArtifactTagOrder;
import com.azure.containers.containerregistry.models.ArtifactTagProperties;
import com.azure.containers.containerregistry.models.ContainerRepositoryProperties;
import java.util.ArrayList;
import java.util.List;

/** Repositories, tags and manifests, without their content. */
final class Metadata {
    private final Calls calls;
    private final Content content;
    private final Object client;
    private final Object nobody;
    private final Object impostor;

    Metadata(Calls calls, boolean async, Content content) {
        this.calls = calls;
        this.content = content;
        this.client = content.registry().client();
        this.nobody = new Registry(async, null).client();
        this.impostor = new Registry(async, "somebody else's token").client();
    }

    private Object artifact(String name, String reference) throws Exception {
        return calls.call(client, "getArtifact", content.repository(name), reference);
    }

    private Object repository(String name) throws Exception {
        return calls.call(client, "getRepository", content.repository(name));
    }

    private static List<Integer> sizes(List<? extends List<?>> pages) {
        return pages.stream().map(List::size).toList();
    }

    void listRepositories() throws Exception {
        for (String name : List.of("a", "b", "c")) {
            content.push("listed-" + name, "v1", "layer");
        }
        List<List<String>> pages = calls.pages(2, client, "listRepositoryNames");
        boolean small = sizes(pages).stream().allMatch(size -> size <= 2);
        same(pages.size() >= 2 && small, true, "pages of " + sizes(pages));
        List<String> names = pages.stream().flatMap(List::stream).toList();
        List<String> mine =
                names.stream().filter(name -> name.startsWith(content.repository("listed-"))).toList();
        List<String> expected = new ArrayList<>();
        for (String name : List.of("a", "b", "c")) {
            expected.add(content.repository("listed-" + name));
        }
        same(mine, expected, "repositories");
        String endpoint = calls.call(client, "getEndpoint");
        same(endpoint, System.getenv("ACR_ENDPOINT"), "endpoint");
    }

    /** What should be all of them. */
    void listFirstPageOfRepositories() throws Exception {
        for (String name : List.of("a", "b", "c")) {
            content.push("listed-" + name, "v1", "layer");
        }
        List<List<String>> pages = calls.pages(2, client, "listRepositoryNames");
        same(sizes(pages), List.of(2), "pages");
        String endpoint = calls.call(client, "getEndpoint");
        same(endpoint, System.getenv("ACR_ENDPOINT"), "endpoint");
    }

    void listTags() throws Exception {
        for (String tag : List.of("one", "two", "three", "four", "five")) {
            // All of one manifest: the SDK lists the tags of an artifact, not of a repository.
            content.push("tags", tag, "layer");
        }
        Object artifact = artifact("tags", "one");
        List<List<ArtifactTagProperties>> pages =
                calls.pages(2, artifact, "listTagProperties", ArtifactTagOrder.NONE);
        same(sizes(pages), List.of(2, 2, 1), "pages");
        same(names(pages), List.of("five", "four", "one", "three", "two"), "tags by name");
        pages = calls.pages(
                9, artifact, "listTagProperties", ArtifactTagOrder.LAST_UPDATED_ON_ASCENDING);
        same(names(pages), List.of("one", "two", "three", "four", "five"), "tags by time");
        String name = calls.call(artifact, "getRepositoryName");
        same(name, content.repository("tags"), "repository");
        String whole = calls.call(artifact, "getFullyQualifiedReference");
        same(whole.endsWith(content.repository("tags") + ":one"), true, whole);
        String endpoint = calls.call(artifact, "getRegistryEndpoint");
        same(endpoint, System.getenv("ACR_ENDPOINT"), "endpoint");
    }

    private static List<String> names(List<List<ArtifactTagProperties>> pages) {
        return pages.stream().flatMap(List::stream).map(ArtifactTagProperties::getName).toList();
    }

    void listManifests() throws Exception {
        List<String> digests = new ArrayList<>();
        for (String layer : List.of("1", "2", "3", "4", "5")) {
            digests.add(content.push("manifests", "tag-" + layer, layer));
        }
        List<List<ArtifactManifestProperties>> pages = calls.pages(
                2, repository("manifests"), "listManifestProperties",
                ArtifactManifestOrder.LAST_UPDATED_ON_ASCENDING);
        same(sizes(pages), List.of(2, 2, 1), "pages");
        List<String> found = pages.stream()
                .flatMap(List::stream).map(ArtifactManifestProperties::getDigest).toList();
        same(found, digests, "manifests by time");
    }

    void repositoryProperties() throws Exception {
        content.push("properties", "v1", "layer");
        Object repository = repository("properties");
        ContainerRepositoryProperties found = calls.call(repository, "getProperties");
        same(found.getName(), content.repository("properties"), "name");
        same(found.getManifestCount(), 1, "manifests");
        same(found.getTagCount(), 1, "tags");
        for (boolean allowed : new boolean[] {false, true}) {
            ContainerRepositoryProperties changed =
                    calls.call(repository, "updateProperties", found.setWriteEnabled(allowed));
            same(changed.isWriteEnabled(), allowed, "flag");
            same(changed.isDeleteEnabled(), true, "flag");
        }
        String name = calls.call(repository, "getName");
        same(name, content.repository("properties"), "name");
        String endpoint = calls.call(repository, "getRegistryEndpoint");
        same(endpoint, System.getenv("ACR_ENDPOINT"), "endpoint");
    }

    void tagProperties() throws Exception {
        String digest = content.push("properties", "v1", "layer");
        Object artifact = calls.call(repository("properties"), "getArtifact", "v1");
        ArtifactTagProperties found = calls.call(artifact, "getTagProperties", "v1");
        same(found.getName(), "v1", "name");
        same(found.getDigest(), digest, "digest");
        ArtifactTagProperties locked =
                calls.call(artifact, "updateTagProperties", "v1", found.setDeleteEnabled(false));
        same(locked.isDeleteEnabled(), false, "flag");
        same(locked.isWriteEnabled(), true, "flag");
        refused(405, () -> calls.call(artifact, "deleteTag", "v1"));
        calls.call(artifact, "updateTagProperties", "v1", found.setDeleteEnabled(true));
        refused(404, () -> calls.call(artifact, "getTagProperties", "absent"));
    }

    void manifestProperties() throws Exception {
        String digest = content.push("properties", "v2", "another layer");
        for (String reference : List.of("v2", digest)) {
            Object artifact = artifact("properties", reference);
            ArtifactManifestProperties found = calls.call(artifact, "getManifestProperties");
            same(found.getDigest(), digest, "digest");
            same(found.getTags(), List.of("v2"), "tags");
            same(String.valueOf(found.getArchitecture()), "amd64", "architecture");
            for (boolean allowed : new boolean[] {false, true}) {
                ArtifactManifestProperties changed = calls.call(
                        artifact, "updateManifestProperties", found.setReadEnabled(allowed));
                same(changed.isReadEnabled(), allowed, "flag");
            }
        }
    }

    void deleteTag() throws Exception {
        String digest = content.push("deleted", "gone", "layer");
        Object artifact = artifact("deleted", digest);
        calls.call(artifact, "deleteTag", "gone");
        refused(404, () -> calls.call(artifact, "getTagProperties", "gone"));
        ArtifactManifestProperties found = calls.call(artifact, "getManifestProperties");
        same(found.getDigest(), digest, "digest");
        // The SDK takes a 404 for success.
        calls.call(artifact, "deleteTag", "gone");
    }

    void deleteManifest() throws Exception {
        String one = content.push("deleted", "one", "one");
        String two = content.push("deleted", "two", "two");
        content.push("deleted", "stays", "stays");
        for (int time = 0; time < 2; time++) {
            calls.call(content.client("deleted"), "deleteManifest", one);
            calls.call(artifact("deleted", two), "delete");
            for (String digest : List.of(one, two)) {
                refused(404, () -> calls.call(artifact("deleted", digest), "getManifestProperties"));
            }
        }
        String name = calls.call(content.client("deleted"), "getRepositoryName");
        same(name, content.repository("deleted"), "repository");
        String endpoint = calls.call(content.client("deleted"), "getEndpoint");
        same(endpoint, System.getenv("ACR_ENDPOINT"), "endpoint");
    }

    void deleteLockedManifest() throws Exception {
        String digest = content.push("locked", "v1", "layer");
        Object artifact = artifact("locked", digest);
        ArtifactManifestProperties flags = calls.call(artifact, "getManifestProperties");
        calls.call(artifact, "updateManifestProperties",
                flags.setDeleteEnabled(false).setWriteEnabled(false));
        refused(405, () -> calls.call(artifact, "delete"));
        calls.call(artifact, "updateManifestProperties",
                flags.setDeleteEnabled(true).setWriteEnabled(true));
        calls.call(artifact, "delete");
    }

    void deleteRepository() throws Exception {
        content.push("whole", "v1", "layer");
        calls.call(repository("whole"), "delete");
        refused(404, () -> calls.call(repository("whole"), "getProperties"));
        calls.call(client, "deleteRepository", content.repository("whole"));
    }

    void anonymousReads() throws Exception {
        String digest = content.push("public", "v1", "for everybody");
        Object artifact =
                calls.call(nobody, "getArtifact", content.repository("public"), "v1");
        List<List<ArtifactTagProperties>> pages = calls.pages(9, artifact, "listTagProperties");
        same(names(pages), List.of("v1"), "tags");
        same(pages.get(0).get(0).getDigest(), digest, "digest");
    }

    void anonymousWrites() throws Exception {
        Object artifact =
                calls.call(nobody, "getArtifact", content.repository("public"), "v1");
        refused(401, () -> calls.call(artifact, "deleteTag", "v1"));
        ArtifactTagProperties found =
                calls.call(artifact("public", "v1"), "getTagProperties", "v1");
        same(found.getName(), "v1", "the tag is still there");
    }

    void wrongToken() throws Exception {
        Object repository =
                calls.call(impostor, "getRepository", content.repository("public"));
        refused(401, () -> calls.call(repository, "getProperties"));
    }
}
