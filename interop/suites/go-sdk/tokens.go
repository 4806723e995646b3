package main

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/cloud"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/to"
	"github.com/Azure/azure-sdk-for-go/sdk/containers/azcontainerregistry"
)

type (
	exchangeOptions = azcontainerregistry.AuthenticationClientExchangeAADAccessTokenForACRRefreshTokenOptions
	tokenOptions    = azcontainerregistry.AuthenticationClientExchangeACRRefreshTokenForACRAccessTokenOptions
)

// claims gives what a token says.
type claims struct {
	Exp, Iat int64
	Aud      string
	Access   []struct {
		Type, Name string
		Actions    []string
	}
}

func claimsOf(token string) (found claims) {
	parts := strings.Split(token, ".")
	same(len(parts), 3, "parts of the token")
	must(json.Unmarshal(get(base64.RawURLEncoding.DecodeString(parts[1])), &found))
	return found
}

func exchange(r registry) {
	ctx := context.Background()
	refresh := *get(r.auth.ExchangeAADAccessTokenForACRRefreshToken(ctx,
		azcontainerregistry.PostContentSchemaGrantTypeAccessToken, ours.host(),
		&exchangeOptions{AccessToken: to.Ptr(string(ours.token())), Tenant: to.Ptr("common")})).RefreshToken
	told := claimsOf(refresh)
	same(told.Aud, ours.host(), "audience")
	same(told.Exp-told.Iat, 11_700, "seconds that it lives")
	options := tokenOptions{GrantType: to.Ptr(azcontainerregistry.TokenGrantTypeRefreshToken)}
	access := *get(r.auth.ExchangeACRRefreshTokenForACRAccessToken(ctx, ours.host(), "repository:go/a:pull,push registry:catalog:*", refresh, &options)).AccessToken
	told = claimsOf(access)
	same(told.Aud, ours.host(), "audience")
	same(fmt.Sprint(told.Access), "[{repository go/a [pull push]} {registry catalog [*]}]", "rights")
}

func anonymousToken(r registry) {
	options := tokenOptions{GrantType: to.Ptr(azcontainerregistry.TokenGrantTypePassword)}
	access := *get(r.auth.ExchangeACRRefreshTokenForACRAccessToken(context.Background(), ours.host(), "repository:go/a:pull,push", "", &options)).AccessToken
	same(fmt.Sprint(claimsOf(access).Access), "[{repository go/a [pull]}]", "rights")
}

func refuseExchange(r registry) {
	ctx, grant := context.Background(), azcontainerregistry.PostContentSchemaGrantTypeAccessToken
	right := exchangeOptions{AccessToken: to.Ptr(string(ours.token()))}
	for _, wrong := range []*exchangeOptions{nil, {}, {AccessToken: to.Ptr("no token")}, {RefreshToken: to.Ptr("no token")}} {
		answer := refused(failure(r.auth.ExchangeAADAccessTokenForACRRefreshToken(ctx, grant, ours.host(), wrong)), 401, "")
		same(payload(answer), "", "body")
	}
	refused(failure(r.auth.ExchangeAADAccessTokenForACRRefreshToken(ctx, grant, "other.azurecr.io", &right)), 400, "BAD_REQUEST")
	refresh := *get(r.auth.ExchangeAADAccessTokenForACRRefreshToken(ctx, grant, ours.host(), &right)).RefreshToken
	options := tokenOptions{GrantType: to.Ptr(azcontainerregistry.TokenGrantTypeRefreshToken)}
	const scope = "registry:catalog:*"
	answer := refused(failure(r.auth.ExchangeACRRefreshTokenForACRAccessToken(ctx, ours.host(), scope, "no token", &options)), 401, "")
	same(payload(answer), "", "body")
	refused(failure(r.auth.ExchangeACRRefreshTokenForACRAccessToken(ctx, "other.azurecr.io", scope, refresh, &options)), 400, "BAD_REQUEST")
	refused(failure(r.auth.ExchangeACRRefreshTokenForACRAccessToken(ctx, ours.host(), scope, refresh, nil)), 400, "BAD_REQUEST")
}

// recorder is a credential that notes what it was asked for.
type recorder struct {
	token
	scopes []string
	err    error
}

func (r *recorder) GetToken(ctx context.Context, options policy.TokenRequestOptions) (azcore.AccessToken, error) {
	r.scopes = append(r.scopes, options.Scopes...)
	return get(r.token.GetToken(ctx, options)), r.err
}

func audience(seen *called) {
	ctx := context.Background()
	credential := &recorder{token: ours.token()}
	r := ours.connect(credential, seen)
	get(r.NewListRepositoriesPager(nil).NextPage(ctx))
	get(r.NewListRepositoriesPager(nil).NextPage(ctx))
	same(fmt.Sprint(credential.scopes), "[https://containerregistry.azure.net/.default]", "scopes of the token")
	for _, known := range []cloud.Configuration{cloud.AzurePublic, cloud.AzureChina, cloud.AzureGovernment} {
		same(known.Services[azcontainerregistry.ServiceName].Audience, "https://containerregistry.azure.net", "audience")
	}
	lacking := azcore.ClientOptions{Cloud: cloud.Configuration{Services: map[cloud.ServiceName]cloud.ServiceConfiguration{"other": {}}}}
	const message = "missing Azure Container Registry configuration"
	says(failure(azcontainerregistry.NewClient("https://localhost", nil, &azcontainerregistry.ClientOptions{ClientOptions: lacking})), message)
	says(failure(azcontainerregistry.NewBlobClient("https://localhost", nil, &azcontainerregistry.BlobClientOptions{ClientOptions: lacking})), message)
	must(failure(azcontainerregistry.NewClient("https://localhost", nil, nil)))
	must(failure(azcontainerregistry.NewBlobClient("https://localhost", nil, nil)))
	must(failure(azcontainerregistry.NewAuthenticationClient("https://localhost", nil)))
}

func credentialFails(seen *called) {
	cause := errors.New("nobody is signed in")
	r := ours.connect(&recorder{err: cause}, seen)
	ctx := context.Background()
	is(failure(r.GetRepositoryProperties(ctx, public, nil)), cause)
	is(failure(r.blobs.StartUpload(ctx, public, nil)), cause)
}

// keepTokens counts what one client asks the token service for.
func keepTokens(seen *called) {
	const client mark = "x-row-kept-tokens"
	r := ours.connect(ours.token(), seen, client)
	ctx := context.Background()
	ours.connect(ours.token(), seen).push("go/kept", "v1", []byte("layer"))
	for range 3 {
		get(r.GetTagProperties(ctx, "go/kept", "v1", nil))
	}
	one := []string{"repository:go/kept:metadata_read"}
	same(fmt.Sprint(scopes(client, 1)), fmt.Sprint(one), "tokens for one scope")
	get(r.GetManifest(ctx, "go/kept", "v1", accepting(ociManifest)))
	get(r.GetTagProperties(ctx, "go/kept", "v1", nil))
	several := append(one, "repository:go/kept:pull", one[0])
	same(fmt.Sprint(scopes(client, 3)), fmt.Sprint(several), "tokens, of which the client keeps the latest")
	same(statuses(func() []entry { return ours.marked("exchange_entra_token", client) }, 1), "[200]", "exchanges")
}

func scopes(client mark, count int) (found []string) {
	statuses(func() []entry { return ours.marked("fetch_access_token", client) }, count)
	for _, request := range ours.marked("fetch_access_token", client) {
		found = append(found, request.Scopes...)
	}
	return found
}

// tokenEnds has the second chunk refused as of a token that has ended, as `run` says.
func tokenEnds(seen *called) {
	const client mark = "x-row-token-ends"
	u, content := ours.connect(ours.token(), seen, client).start("go/token-ends"), noise(2000)
	u.send(content[:1000], 0, 1000)
	u.send(content[1000:], 1000, 2000)
	u.complete("go/token-ends", content)
	same(statuses(func() []entry { return ours.marked("upload_chunk", client) }, 3), "[202 401 202]", "chunks")
	same(statuses(func() []entry { return ours.marked("exchange_entra_token", client) }, 1), "[200]", "exchanges")
}

// refreshTokenEnds gets a refresh token at first whose end is long past, as `run` says.
func refreshTokenEnds(seen *called) {
	const client mark = "x-row-refresh-ends"
	r := ours.connect(ours.token(), seen, client)
	ctx := context.Background()
	ours.connect(ours.token(), seen).push("go/refresh-ends", "v1", []byte("layer"))
	says(refused(failure(r.GetRepositoryProperties(ctx, "go/refresh-ends", nil)), 401, ""), "/oauth2/token")
	same(*get(r.GetRepositoryProperties(ctx, "go/refresh-ends", nil)).TagCount, int32(1), "tags")
	get(r.GetTagProperties(ctx, "go/refresh-ends", "v1", nil))
	same(statuses(func() []entry { return ours.marked("exchange_entra_token", client) }, 2), "[200 200]", "exchanges")
}

// refreshTokenRefused should exchange anew.
func refreshTokenRefused(seen *called) {
	const client mark = "x-row-refresh-refused"
	r := private.connect(private.token(), seen, client)
	ctx := context.Background()
	digest, _ := private.connect(private.token(), seen).push("go/revoked", "v1", []byte("layer"))
	get(r.GetRepositoryProperties(ctx, "go/revoked", nil))
	// The request at which the registry forgets it, as `run` says; the access token goes on.
	same(*get(r.GetTagProperties(ctx, "go/revoked", "v1", nil)).Tag.Digest, digest, "digest")
	for range 2 {
		says(refused(failure(r.GetManifest(ctx, "go/revoked", "v1", accepting("*/*"))), 401, ""), "/oauth2/token")
	}
	same(statuses(func() []entry { return private.marked("exchange_entra_token", client) }, 1), "[200]", "exchanges")
}

// oddToken should be able to read the token.
func oddToken(seen *called) {
	const client mark = "x-row-odd-token"
	r := ours.connect(ours.token(), seen, client)
	ctx := context.Background()
	given := *get(r.auth.ExchangeAADAccessTokenForACRRefreshToken(ctx, azcontainerregistry.PostContentSchemaGrantTypeAccessToken,
		ours.host(), &exchangeOptions{AccessToken: to.Ptr(string(ours.token()))})).RefreshToken
	same(claimsOf(given).Exp, 4_102_444_800, "end")
	same(strings.ContainsAny(given, "-_"), true, "letters of base64url")
	var bad base64.CorruptInputError
	if err := failure(r.GetRepositoryProperties(ctx, public, nil)); !errors.As(err, &bad) {
		panic(err)
	}
}
