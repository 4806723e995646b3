package interop;

import static interop.Check.refused;
import static interop.Check.same;

import com.azure.containers.containerregistry.models.ArtifactManifestOrder;
import com.azure.containers.containerregistry.models.ArtifactManifestProperties;
import com.azure.containers.containerregistry.models.ArtifactTagOrder;
import com.azure.containers.containerregistry.models.ArtifactTagProperties;
import com.azure.containers.containerregistry.models.ContainerRepositoryProperties;
import com.azure.containers.containerregistry.models.OciImageManifest;
import com.azure.core.http.rest.PagedIterable;
import com.azure.core.http.rest.PagedResponse;
import java.net.URI;
import java.time.OffsetDateTime;
import java.util.ArrayList;
import java.util.List;

/** Repositories, tags and manifests, without their content. */
final class Metadata {
    private final Calls calls;
    private final Content content;
    private final Object client;

    Metadata(Calls calls, Content content) {
        this.calls = calls;
        this.content = content;
        this.client = content.registry().client();
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
        pages = calls.pages(
                9, artifact, "listTagProperties", ArtifactTagOrder.LAST_UPDATED_ON_DESCENDING);
        same(names(pages), List.of("five", "four", "three", "two", "one"), "tags by time");
        String name = calls.call(artifact, "getRepositoryName");
        same(name, content.repository("tags"), "repository");
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
        pages = calls.pages(9, repository("manifests"), "listManifestProperties");
        same(sizes(pages), List.of(5), "pages");
    }

    void resumedList() throws Exception {
        for (String tag : List.of("one", "two", "three")) {
            content.push("resumed", tag, "layer");
        }
        PagedIterable<ArtifactTagProperties> list =
                calls.list(artifact("resumed", "one"), "listTagProperties");
        PagedResponse<ArtifactTagProperties> first = list.iterableByPage(2).iterator().next();
        same(names(List.of(first.getValue())), List.of("one", "three"), "first page");
        List<List<ArtifactTagProperties>> left = new ArrayList<>();
        list.iterableByPage(first.getContinuationToken(), 2)
                .forEach(page -> left.add(page.getValue()));
        same(names(left), List.of("two"), "what is left");
    }

    /** Times in their order, of today. */
    private static void recent(OffsetDateTime created, OffsetDateTime updated) {
        OffsetDateTime now = OffsetDateTime.now();
        boolean ordered = created.isAfter(now.minusDays(1)) && !updated.isBefore(created)
                && updated.isBefore(now.plusMinutes(1));
        same(ordered, true, "created " + created + ", updated " + updated);
    }

    void repositoryProperties() throws Exception {
        content.push("properties", "v1", "layer");
        Object repository = repository("properties");
        ContainerRepositoryProperties found = calls.call(repository, "getProperties");
        same(found.getName(), content.repository("properties"), "name");
        same(found.getManifestCount(), 1, "manifests");
        same(found.getTagCount(), 1, "tags");
        recent(found.getCreatedOn(), found.getLastUpdatedOn());
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
        recent(found.getCreatedOn(), found.getLastUpdatedOn());
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
        OciImageManifest manifest = content.manifest("properties", "another layer");
        long size = manifest.getConfiguration().getSizeInBytes()
                + manifest.getLayers().get(0).getSizeInBytes();
        for (String reference : List.of("v2", digest)) {
            Object artifact = artifact("properties", reference);
            ArtifactManifestProperties found = calls.call(artifact, "getManifestProperties");
            same(found.getDigest(), digest, "digest");
            same(found.getTags(), List.of("v2"), "tags");
            same(String.valueOf(found.getArchitecture()), "amd64", "architecture");
            same(String.valueOf(found.getOperatingSystem()), "linux", "operating system");
            same(found.getSizeInBytes(), size, "size");
            recent(found.getCreatedOn(), found.getLastUpdatedOn());
            for (boolean allowed : new boolean[] {false, true}) {
                ArtifactManifestProperties changed = calls.call(
                        artifact, "updateManifestProperties", found.setReadEnabled(allowed));
                same(changed.isReadEnabled(), allowed, "flag");
            }
        }
    }

    void fullName() throws Exception {
        String digest = content.push("properties", "v2", "another layer");
        String host = URI.create(System.getenv("ACR_ENDPOINT")).getHost();
        String name = host + "/" + content.repository("properties");
        for (String[] pair : new String[][] {{"v2", ":v2"}, {digest, "@" + digest}}) {
            String whole =
                    calls.call(artifact("properties", pair[0]), "getFullyQualifiedReference");
            same(whole, name + pair[1], "full name");
        }
    }

    void lockedTag() throws Exception {
        String digest = content.push("locked", "kept", "layer");
        Object artifact = artifact("locked", "kept");
        ArtifactTagProperties flags = calls.call(artifact, "getTagProperties", "kept");
        calls.call(artifact, "updateTagProperties", "kept", flags.setWriteEnabled(false));
        refused(405, () -> content.push("locked", "kept", "another"));
        ArtifactTagProperties found = calls.call(artifact, "getTagProperties", "kept");
        same(found.getDigest(), digest, "digest");
        calls.call(artifact, "updateTagProperties", "kept", flags.setWriteEnabled(true));
        String changed = content.push("locked", "kept", "another");
        found = calls.call(artifact, "getTagProperties", "kept");
        same(found.getDigest(), changed, "digest");
    }

    void deleteManifestOfAbsentTag() throws Exception {
        content.push("deleted", "stays", "stays");
        refused(404, () -> calls.call(artifact("deleted", "absent"), "delete"));
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
}
