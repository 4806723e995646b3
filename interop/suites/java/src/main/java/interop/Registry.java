package interop;

import com.azure.containers.containerregistry.ContainerRegistryClientBuilder;
import com.azure.containers.containerregistry.ContainerRegistryContentClientBuilder;
import com.azure.containers.containerregistry.models.ContainerRegistryAudience;
import com.azure.core.credential.AccessToken;
import com.azure.core.credential.TokenCredential;
import com.azure.core.http.policy.FixedDelayOptions;
import com.azure.core.http.policy.RetryOptions;
import java.time.Duration;
import java.time.OffsetDateTime;
import reactor.core.publisher.Mono;

/** The emulator as one of the SDK's two kinds of clients sees it; without a token it is nobody. */
final class Registry {
    private static final RetryOptions NO_RETRY =
            new RetryOptions(new FixedDelayOptions(0, Duration.ZERO));

    private final boolean async;
    private final TokenCredential credential;

    Registry(boolean async, String token) {
        this.async = async;
        this.credential = token == null
                ? null
                : request -> Mono.just(new AccessToken(token, OffsetDateTime.now().plusHours(1)));
    }

    Object client() {
        var builder = new ContainerRegistryClientBuilder()
                .endpoint(System.getenv("ACR_ENDPOINT"))
                .audience(ContainerRegistryAudience.AZURE_RESOURCE_MANAGER_PUBLIC_CLOUD)
                .retryOptions(NO_RETRY)
                .credential(credential);
        return async ? builder.buildAsyncClient() : builder.buildClient();
    }

    Object content(String repository) {
        var builder = new ContainerRegistryContentClientBuilder()
                .endpoint(System.getenv("ACR_ENDPOINT"))
                .audience(ContainerRegistryAudience.AZURE_RESOURCE_MANAGER_PUBLIC_CLOUD)
                .retryOptions(NO_RETRY)
                .repositoryName(repository)
                .credential(credential);
        return async ? builder.buildAsyncClient() : builder.buildClient();
    }
}
