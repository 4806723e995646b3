package interop;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.net.URLDecoder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;

/** What the emulator says it was asked. */
final class Journal {
    private Journal() {
    }

    /** The lengths of the bodies of an operation's requests that had this answer, with the part in their path. */
    static List<Integer> answered(String operation, int status, String part) throws Exception {
        ObjectMapper mapper = new ObjectMapper();
        List<Integer> lengths = new ArrayList<>();
        for (String line : Files.readAllLines(Path.of(System.getenv("ACR_JOURNAL")))) {
            JsonNode entry = mapper.readTree(line);
            String path = URLDecoder.decode(entry.get("path").asText(), StandardCharsets.UTF_8);
            if (entry.get("operation").asText().equals(operation)
                    && entry.get("status").asInt() == status && path.contains(part)) {
                lengths.add(entry.get("body_bytes").asInt());
            }
        }
        return lengths;
    }
}
