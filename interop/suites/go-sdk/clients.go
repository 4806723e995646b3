package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net/http"
	"os"
	"reflect"
	"regexp"
	"runtime"
	"slices"
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
type called map[string]bool

var method = regexp.MustCompile(`\(\*(\w+)\)\.(\w+)`)

// Do finds the methods of the SDK on the stack.
func (c called) Do(request *policy.Request) (*http.Response, error) {
	var counters [64]uintptr
	frames := runtime.CallersFrames(counters[:runtime.Callers(1, counters[:])])
	for {
		frame, more := frames.Next()
		// Also where the compiler put a method's function into its caller.
		for _, match := range method.FindAllStringSubmatch(frame.Function, -1) {
			c[match[1]+"."+match[2]] = true
		}
		if !more {
			break
		}
	}
	return request.Next()
}

// missing gives the public methods of these clients that sent nothing.
func (c called) missing(clients ...any) []string {
	var missing []string
	for _, client := range clients {
		kind := reflect.TypeOf(client)
		for index := range kind.NumMethod() {
			name := kind.Elem().Name() + "." + kind.Method(index).Name
			if !c[name] {
				missing = append(missing, name)
			}
		}
	}
	slices.Sort(missing)
	return missing
}

// registry is the emulator with one kind of credential.
type registry struct {
	*azcontainerregistry.Client
	blobs *azcontainerregistry.BlobClient
	auth  *azcontainerregistry.AuthenticationClient
}

func connect(seen called, credential azcore.TokenCredential) registry {
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(get(os.ReadFile(os.Getenv("ACR_CA")))) {
		panic("no certificate in ACR_CA")
	}
	transport := &http.Client{Transport: &http.Transport{
		TLSClientConfig: &tls.Config{RootCAs: pool},
	}}
	options := azcore.ClientOptions{
		Cloud:           cloud.AzurePublic,
		Transport:       transport,
		Retry:           policy.RetryOptions{MaxRetries: -1},
		PerCallPolicies: []policy.Policy{seen},
	}
	endpoint := os.Getenv("ACR_ENDPOINT")
	return registry{
		get(azcontainerregistry.NewClient(endpoint, credential, &azcontainerregistry.ClientOptions{ClientOptions: options})),
		get(azcontainerregistry.NewBlobClient(endpoint, credential, &azcontainerregistry.BlobClientOptions{ClientOptions: options})),
		get(azcontainerregistry.NewAuthenticationClient(endpoint, &azcontainerregistry.AuthenticationClientOptions{ClientOptions: options})),
	}
}

// refused ends the operation unless the error is an answer with this status.
func refused(err error, status int) *azcore.ResponseError {
	var answer *azcore.ResponseError
	if !errors.As(err, &answer) {
		panic(err)
	}
	same(answer.StatusCode, status, "status")
	return answer
}
