package interop;

import java.util.ArrayList;
import java.util.List;

/** Every operation of azure-containers-containerregistry against acr-emulator. */
public final class Suite {
    private static final String FIRST_PAGE_ONLY =
            "gives the first page only: ContainerRegistriesImpl.getRepositoriesSinglePage looks for the next"
                    + " one under `link` in the body, the registry names it in the header `Link`";
    private static final String NO_XML =
            "downloads by range only, to which storage answers 416 and XML for an empty blob;"
                    + " the SDK lacks its XML reader (ObjectMapperShim.createXmlMapper) and throws a LinkageError";
    private static final String NO_END =
            "downloads by range only, to which storage answers 416 for an empty blob;"
                    + " what downloadStream gives then never ends";

    private static final String NOT_COMPARED =
            "gives the digest that the registry tells and does not compare it with that of what was sent"
                    + " (setManifest and uploadBlob of ContainerRegistryContentClient call no"
                    + " UtilsImpl.validateResponseHeaderDigest, only downloads do)";

    private Suite() {
    }

    public static void main(String[] arguments) throws Exception {
        List<String> failed = new ArrayList<>();
        for (boolean async : new boolean[] {false, true}) {
            String kind = async ? "async" : "sync";
            Rows rows = new Rows("azure-containers-containerregistry " + kind);
            Calls calls = new Calls();
            Content content = new Content(calls, async, "java/" + kind);
            Metadata metadata = new Metadata(calls, content);
            Integrity integrity = new Integrity(calls, content);
            Rights rights = new Rights(calls, async, content);
            // Both ways to call an operation, each in repositories of its own.
            Twice twice = new Twice(rows, calls, content);

            if (async) {
                twice.pass("list repositories by pages of 2", metadata::listRepositories);
            } else {
                twice.defect("list repositories by pages of 2", FIRST_PAGE_ONLY,
                        metadata::listFirstPageOfRepositories);
            }
            twice.pass("list tags by pages of 2, and by time", metadata::listTags);
            twice.pass("list manifests by pages of 2, by time", metadata::listManifests);
            twice.pass("go on with a list by its token", metadata::resumedList);
            twice.pass("get and update repository properties", metadata::repositoryProperties);
            twice.pass("get and update tag properties, locked tag", metadata::tagProperties);
            twice.pass("get and update manifest properties", metadata::manifestProperties);
            twice.pass("tell the full name of a manifest", metadata::fullName);
            twice.pass("push over a locked tag: 405", metadata::lockedTag);
            twice.pass("delete a tag, also an absent one", metadata::deleteTag);
            twice.pass("delete a manifest, also an absent one", metadata::deleteManifest);
            twice.pass("delete the manifest of an absent tag: 404",
                    metadata::deleteManifestOfAbsentTag);
            twice.pass("delete a locked manifest: 405", metadata::deleteLockedManifest);
            twice.pass("delete a repository, also an absent one", metadata::deleteRepository);
            twice.pass("put a manifest, get it by tag and digest", content::manifests);
            twice.pass("put and get an index", content::index);
            twice.pass("put a manifest without its layers: 400", content::missingLayer);
            twice.pass("upload and download a blob in chunks", content::blobs);
            twice.defect("upload and download an empty blob", async ? NO_END : NO_XML,
                    content::emptyBlob);
            twice.pass("delete a blob, also an absent one", content::deleteBlob);
            twice.pass("notice another digest of a manifest that is read", integrity::readManifest);
            twice.pass("notice other bytes of a blob that is read", integrity::readBlob);
            twice.defect("notice another digest of a manifest that was put", NOT_COMPARED,
                    integrity::storedManifest);
            twice.defect("notice another digest of a blob that was uploaded", NOT_COMPARED,
                    integrity::storedBlob);
            twice.pass("list anonymously", rights::anonymousLists);
            twice.pass("read anonymously", rights::anonymousReads);
            twice.pass("write anonymously: 401", rights::anonymousWrites);
            twice.pass("sign in with a wrong token: 401", rights::wrongToken);
            rows.pass("read an image that we pushed", content::readOurs);
            content.pushTheirs();
            rows.pass("every public operation was called",
                    () -> Check.same(calls.missing(), new java.util.TreeSet<>(), "not called"));
            failed.addAll(rows.failed());
        }
        System.out.println(failed.isEmpty() ? "all as expected" : String.join("\n", failed));
        System.exit(failed.isEmpty() ? 0 : 1);
    }

    private record Twice(Rows rows, Calls calls, Content content) {
        void pass(String operation, Rows.Attempt attempt) throws Exception {
            rows.pass(operation, () -> run(attempt));
        }

        void defect(String operation, String evidence, Rows.Attempt attempt) throws Exception {
            rows.defect(operation, evidence, () -> run(attempt));
        }

        private void run(Rows.Attempt attempt) throws Exception {
            for (boolean detailed : new boolean[] {false, true}) {
                calls.detailed = detailed;
                content.within(detailed ? "detailed" : "plain");
                attempt.run();
            }
        }
    }
}
