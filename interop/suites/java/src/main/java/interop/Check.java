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

    static HttpResponseException refused(int status, Rows.Attempt attempt) throws Exception {
        HttpResponseException error = raised(HttpResponseException.class, attempt);
        same(error.getResponse().getStatusCode(), status, "status");
        return error;
    }

    static <E extends Exception> E raised(Class<E> kind, Rows.Attempt attempt) throws Exception {
        try {
            attempt.run();
        } catch (Exception error) {
            if (kind.isInstance(error)) {
                return kind.cast(error);
            }
            throw error;
        }
        throw new AssertionError("no error, though " + kind.getSimpleName() + " was expected");
    }
}
