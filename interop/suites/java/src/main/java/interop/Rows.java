package interop;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.ArrayList;
import java.util.List;

/** Rows of the matrix, one line of JSON each, in the file that INTEROP_ROWS names. */
final class Rows {
    /** Something that may fail. */
    interface Attempt {
        void run() throws Exception;
    }

    private final String peer;
    private final List<String> failed = new ArrayList<>();

    Rows(String peer) {
        this.peer = peer;
    }

    List<String> failed() {
        return failed;
    }

    void pass(String operation, Attempt attempt) throws IOException {
        attempt("pass", "", operation, attempt);
    }

    /** The attempt ends well if the SDK goes wrong as the evidence says. */
    void defect(String operation, String evidence, Attempt attempt) throws IOException {
        attempt("defect", evidence, operation, attempt);
    }

    private void attempt(String result, String evidence, String operation, Attempt attempt)
            throws IOException {
        try {
            attempt.run();
        } catch (Exception | AssertionError error) {
            error.printStackTrace();
            failed.add(peer + ": " + operation);
            result = "fail";
            evidence = String.valueOf(error);
        }
        String line = "{\"suite\":\"java\",\"peer\":" + quoted(peer) + ",\"version\":" + quoted(version())
                + ",\"operation\":" + quoted(operation) + ",\"result\":" + quoted(result)
                + ",\"evidence\":" + quoted(evidence) + "}\n";
        Path rows = Path.of(System.getenv("INTEROP_ROWS"));
        Files.writeString(rows, line, StandardOpenOption.CREATE, StandardOpenOption.APPEND);
    }

    /** The version that the SDK's own package tells. */
    private static String version() throws IOException {
        var properties = new java.util.Properties();
        try (var stream = Rows.class.getResourceAsStream(
                "/azure-containers-containerregistry.properties")) {
            properties.load(stream);
        }
        return properties.getProperty("version");
    }

    private static String quoted(String text) {
        StringBuilder quoted = new StringBuilder("\"");
        for (char letter : text.toCharArray()) {
            if (letter == '"' || letter == '\\') {
                quoted.append('\\').append(letter);
            } else if (letter < ' ') {
                quoted.append(String.format("\\u%04x", (int) letter));
            } else {
                quoted.append(letter);
            }
        }
        return quoted.append('"').toString();
    }
}
