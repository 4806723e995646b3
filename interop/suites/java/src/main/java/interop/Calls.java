package interop;

import com.azure.core.http.rest.PagedFlux;
import com.azure.core.http.rest.PagedIterable;
import com.azure.core.http.rest.Response;
import com.azure.core.util.Context;
import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Method;
import java.lang.reflect.Modifier;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Set;
import java.util.TreeSet;
import reactor.core.publisher.Mono;

/**
 * Calls the SDK by reflection, so that one script serves its sync and async clients and it is known
 * which public methods were called.
 */
final class Calls {
    /** Far more than any operation takes; the SDK waits without limit for some answers. */
    private static final Duration LIMIT = Duration.ofSeconds(20);

    private final Set<String> called = new TreeSet<>();
    private final Set<Class<?>> kinds = new java.util.LinkedHashSet<>();

    /** Prefers the methods that give whole responses or take a context. */
    boolean detailed;

    /** Calls a method and waits for what it gives; a response is replaced by its value. */
    @SuppressWarnings("unchecked")
    <T> T call(Object target, String name, Object... given) throws Exception {
        Object found;
        try {
            found = invoke(target, name, given);
        } catch (InvocationTargetException error) {
            if (error.getCause() instanceof Exception cause) {
                throw cause;
            }
            throw new IllegalStateException(error.getCause());
        }
        if (found instanceof Mono<?> mono) {
            found = mono.block(LIMIT);
        }
        if (found instanceof Response<?> response) {
            found = response.getValue();
        }
        return (T) found;
    }

    /** What a list operation gives. */
    <T> PagedIterable<T> list(Object target, String name, Object... given) throws Exception {
        Object list = call(target, name, given);
        return list instanceof PagedFlux<?> ? new PagedIterable<>(asFlux(list)) : asIterable(list);
    }

    /** All pages of a list, each as a list. */
    <T> List<List<T>> pages(int size, Object target, String name, Object... given) throws Exception {
        List<List<T>> pages = new ArrayList<>();
        this.<T>list(target, name, given)
                .iterableByPage(size).forEach(page -> pages.add(page.getValue()));
        return pages;
    }

    /** The public methods of all kinds of clients seen that were not called. */
    Set<String> missing() {
        Set<String> missing = new TreeSet<>();
        for (Class<?> kind : kinds) {
            for (Method method : kind.getDeclaredMethods()) {
                if (Modifier.isPublic(method.getModifiers()) && !method.isSynthetic()) {
                    missing.add(signature(kind, method));
                }
            }
        }
        missing.removeAll(called);
        return missing;
    }

    private Object invoke(Object target, String name, Object... given) throws Exception {
        kinds.add(target.getClass());
        List<Object> plain = Arrays.asList(given);
        List<Object> withContext = new ArrayList<>(plain);
        withContext.add(Context.NONE);
        if (detailed) {
            for (String detailedName : List.of(name + "WithResponse", name)) {
                for (List<Object> arguments : List.of(withContext, plain)) {
                    Method method = find(target, detailedName, arguments);
                    if (method != null) {
                        return invoke(target, method, arguments);
                    }
                }
            }
        }
        Method method = find(target, name, plain);
        if (method == null) {
            throw new NoSuchMethodException(target.getClass().getSimpleName() + "." + name);
        }
        return invoke(target, method, plain);
    }

    private Object invoke(Object target, Method method, List<Object> given) throws Exception {
        called.add(signature(target.getClass(), method));
        return method.invoke(target, given.toArray());
    }

    private static String signature(Class<?> kind, Method method) {
        List<String> parameters =
                Arrays.stream(method.getParameterTypes()).map(Class::getSimpleName).toList();
        return kind.getSimpleName() + "." + method.getName() + parameters;
    }

    private static Method find(Object target, String name, List<Object> given) {
        for (Method method : target.getClass().getMethods()) {
            Class<?>[] parameters = method.getParameterTypes();
            if (!method.getName().equals(name) || parameters.length != given.size()) {
                continue;
            }
            boolean fits = true;
            for (int index = 0; index < parameters.length; index++) {
                fits &= given.get(index) == null || parameters[index].isInstance(given.get(index));
            }
            if (fits) {
                return method;
            }
        }
        return null;
    }

    @SuppressWarnings("unchecked")
    private static <T> PagedFlux<T> asFlux(Object list) {
        return (PagedFlux<T>) list;
    }

    @SuppressWarnings("unchecked")
    private static <T> PagedIterable<T> asIterable(Object list) {
        return (PagedIterable<T>) list;
    }
}
