package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"net/http"
	"os"
	"reflect"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/cloud"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/containers/azcontainerregistry"
)

// token is a credential that always has this token.
type token string

func (t token) GetToken(context.Context, policy.TokenRequestOptions) (azcore.AccessToken, error) {
	return azcore.AccessToken{Token: string(t), ExpiresOn: time.Now().Add(time.Hour)}, nil
}

// called notes which public methods were seen to send something.
type called struct {
	lock    sync.Mutex
	methods map[string]bool
}

var method = regexp.MustCompile(`\(\*(\w+)\)\.(\w+)`)

// Do finds the methods of the SDK on the stack.
func (c *called) Do(request *policy.Request) (*http.Response, error) {
	var counters [64]uintptr
	frames := runtime.CallersFrames(counters[:runtime.Callers(1, counters[:])])
	c.lock.Lock()
	for {
		frame, more := frames.Next()
		// Also where the compiler put a method's function into its caller.
		for _, match := range method.FindAllStringSubmatch(frame.Function, -1) {
			c.methods[match[1]+"."+match[2]] = true
		}
		if !more {
			break
		}
	}
	c.lock.Unlock()
	return request.Next()
}

// missing gives the public methods of these clients that sent nothing.
func (c *called) missing(clients ...any) []string {
	c.lock.Lock()
	defer c.lock.Unlock()
	var missing []string
	for _, client := range clients {
		kind := reflect.TypeOf(client)
		for index := range kind.NumMethod() {
			name := kind.Elem().Name() + "." + kind.Method(index).Name
			if !c.methods[name] {
				missing = append(missing, name)
			}
		}
	}
	slices.Sort(missing)
	return missing
}

// mark tells the requests of one client from those of all others, for the journal and for faults.
type mark string

func (m mark) Do(request *policy.Request) (*http.Response, error) {
	request.Raw().Header.Set(string(m), "1")
	return request.Next()
}

// emulator is one of the registries that `run` started, by the prefix of its variables.
type emulator string

const (
	ours    emulator = "ACR"
	private emulator = "PRIVATE"
)

func (e emulator) get(name string) string { return os.Getenv(string(e) + "_" + name) }

// host is the registry as tokens and answers name it.
func (e emulator) host() string { return strings.TrimPrefix(e.get("ENDPOINT"), "https://") }

func (e emulator) token() token { return token(e.get("ENTRA_TOKEN")) }

// registry is an emulator with one kind of credential.
type registry struct {
	*azcontainerregistry.Client
	blobs *azcontainerregistry.BlobClient
	auth  *azcontainerregistry.AuthenticationClient
}

func (e emulator) connect(credential azcore.TokenCredential, policies ...policy.Policy) registry {
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(get(os.ReadFile(e.get("CA")))) {
		panic("no certificate in the CA's file")
	}
	transport := &http.Client{Transport: &http.Transport{
		TLSClientConfig: &tls.Config{RootCAs: pool},
	}}
	options := azcore.ClientOptions{
		Cloud:           cloud.AzurePublic,
		Transport:       transport,
		Retry:           policy.RetryOptions{MaxRetries: -1},
		PerCallPolicies: policies,
	}
	endpoint := e.get("ENDPOINT")
	return registry{
		get(azcontainerregistry.NewClient(endpoint, credential, &azcontainerregistry.ClientOptions{ClientOptions: options})),
		get(azcontainerregistry.NewBlobClient(endpoint, credential, &azcontainerregistry.BlobClientOptions{ClientOptions: options})),
		get(azcontainerregistry.NewAuthenticationClient(endpoint, &azcontainerregistry.AuthenticationClientOptions{ClientOptions: options})),
	}
}

// persistent lets a call be tried again, as it is where nothing else is asked for.
func persistent(ctx context.Context) context.Context {
	return policy.WithRetryOptions(ctx, policy.RetryOptions{MaxRetries: 3, RetryDelay: 10 * time.Millisecond})
}
