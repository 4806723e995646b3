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

    private Suite() {
    }

    public static void main(String[] arguments) throws Exception {
        List<String> failed = new ArrayList<>();
        for (boolean async : new boolean[] {false, true}) {
            String kind = async ? "async" : "sync";
            Rows rows = new Rows("azure-containers-containerregistry " + kind);
            Calls calls = new Calls();
            Content content = new Content(calls, async, "java/" + kind);
            Metadata metadata = new Metadata(calls, async, content);
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
            twice.pass("get and update repository properties", metadata::repositoryProperties);
            twice.pass("get and update tag properties, locked tag", metadata::tagProperties);
            twice.pass("get and update manifest properties", metadata::manifestProperties);
            twice.pass("delete a tag, also an absent one", metadata::deleteTag);
            twice.pass("delete a manifest, also an absent one", metadata::deleteManifest);
            twice.pass("delete a locked manifest: 405", metadata::deleteLockedManifest);
            twice.pass("delete a repository, also an absent one", metadata::deleteRepository);
            twice.pass("put a manifest, get it by tag and digest", content::manifests);
            twice.pass("put and get an index", content::index);
            twice.pass("upload and download a blob in chunks", content::blobs);
            twice.defect("upload and download an empty blob", async ? NO_END : NO_XML,
                    content::emptyBlob);
            twice.pass("delete a blob, also an absent one", content::deleteBlob);
            twice.pass("read anonymously", metadata::anonymousReads);
            twice.pass("write anonymously: 401", metadata::anonymousWrites);
            twice.pass("sign in with a wrong token: 401", metadata::wrongToken);
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
