package interop;

import com.azure.core.exception.HttpResponseException;
import java.util.Objects;

/** What must hold. */
final class Check {
    private Check() {
    }

    static void same(Object found, Object expected, String what) {
        if (!Objects.equals(found, expected)) {
            throw new AssertionError(what + ": " + found + " instead of " + expected);
        }
    }

    static void refused(int status, Rows.Attempt attempt) throws Exception {
        try {
            attempt.run();
        } catch (HttpResponseException error) {
            same(error.getResponse().getStatusCode(), status, "status");
            return;
        }
        throw new AssertionError("no error, though " + status + " was expected");
    }
}
