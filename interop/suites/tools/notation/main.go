// Signs and verifies as the program notation does, with its own library and its registry client.
//
//	notation-go [--insecure-registry] sign|verify KEYS REFERENCE
//
// KEYS is a folder for a key of its own, made by the first signature. Logins are Docker's.
package main

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"

	"github.com/notaryproject/notation-core-go/signature/jws"
	"github.com/notaryproject/notation-core-go/testhelper"
	"github.com/notaryproject/notation-go"
	notationregistry "github.com/notaryproject/notation-go/registry"
	"github.com/notaryproject/notation-go/signer"
	"github.com/notaryproject/notation-go/verifier"
	"github.com/notaryproject/notation-go/verifier/trustpolicy"
	"github.com/notaryproject/notation-go/verifier/truststore"
	"oras.land/oras-go/v2/registry"
	"oras.land/oras-go/v2/registry/remote"
	"oras.land/oras-go/v2/registry/remote/auth"
	"oras.land/oras-go/v2/registry/remote/credentials"
)

func main() {
	insecure := flag.Bool("insecure-registry", false, "talk plain HTTP")
	flag.Parse()
	if err := run(context.Background(), *insecure, flag.Args()); err != nil {
		fmt.Fprintln(os.Stderr, "notation-go:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, insecure bool, arguments []string) error {
	if len(arguments) != 3 {
		return errors.New("usage: notation-go [--insecure-registry] sign|verify KEYS REFERENCE")
	}
	keys, reference := arguments[1], arguments[2]
	repository, err := repositoryOf(reference, insecure)
	if err != nil {
		return err
	}
	switch arguments[0] {
	case "sign":
		return sign(ctx, repository, keys, reference)
	case "verify":
		return verify(ctx, repository, keys, reference)
	default:
		return fmt.Errorf("`%s` is neither sign nor verify", arguments[0])
	}
}

// repositoryOf connects as cmd/notation/registry.go does.
func repositoryOf(reference string, insecure bool) (notationregistry.Repository, error) {
	ref, err := registry.ParseReference(reference)
	if err != nil {
		return nil, err
	}
	host, _, _ := net.SplitHostPort(ref.Registry)
	store, err := credentials.NewStoreFromDocker(credentials.StoreOptions{})
	if err != nil {
		return nil, err
	}
	client := &auth.Client{
		Cache:      auth.NewCache(),
		ClientID:   "notation",
		Credential: credentials.Credential(store),
	}
	return notationregistry.NewRepository(&remote.Repository{
		Client:    client,
		Reference: ref,
		PlainHTTP: insecure || host == "localhost",
	}), nil
}

func sign(ctx context.Context, repository notationregistry.Repository, keys, reference string) error {
	if _, err := os.Stat(keyFile(keys)); errors.Is(err, fs.ErrNotExist) {
		if err := makeKey(keys); err != nil {
			return err
		}
	}
	local, err := signer.NewGenericSignerFromFiles(keyFile(keys), certificateFile(keys))
	if err != nil {
		return err
	}
	signed, err := notation.Sign(ctx, local, repository, notation.SignOptions{
		SignerSignOptions: notation.SignerSignOptions{SignatureMediaType: jws.MediaTypeEnvelope},
		ArtifactReference: reference,
	})
	if err == nil {
		fmt.Println("signed", signed.Digest)
	}
	return err
}

func verify(ctx context.Context, repository notationregistry.Repository, keys, reference string) error {
	policy := trustpolicy.TrustPolicy{
		Name:                  "ours",
		RegistryScopes:        []string{"*"},
		SignatureVerification: trustpolicy.SignatureVerification{VerificationLevel: trustpolicy.LevelStrict.Name},
		TrustStores:           []string{"ca:ours"},
		TrustedIdentities:     []string{"*"},
	}
	document := &trustpolicy.Document{Version: "1.0", TrustPolicies: []trustpolicy.TrustPolicy{policy}}
	judge, err := verifier.New(document, trusted(keys), nil)
	if err != nil {
		return err
	}
	verified, _, err := notation.Verify(ctx, judge, repository, notation.VerifyOptions{
		ArtifactReference:    reference,
		MaxSignatureAttempts: 3,
	})
	if err == nil {
		fmt.Println("verified", verified.Digest)
	}
	return err
}

// trusted is the folder whose certificate alone is trusted.
type trusted string

func (folder trusted) GetCertificates(context.Context, truststore.Type, string) ([]*x509.Certificate, error) {
	text, err := os.ReadFile(certificateFile(string(folder)))
	if err != nil {
		return nil, err
	}
	block, _ := pem.Decode(text)
	if block == nil {
		return nil, errors.New("no certificate")
	}
	certificate, err := x509.ParseCertificate(block.Bytes)
	return []*x509.Certificate{certificate}, err
}

// makeKey makes what `notation cert generate-test` makes.
func makeKey(folder string) error {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return err
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return err
	}
	certificate := testhelper.GetRSASelfSignedCertTupleWithPK(key, "interop").Cert.Raw
	return errors.Join(
		os.MkdirAll(folder, 0o700),
		write(keyFile(folder), "PRIVATE KEY", private),
		write(certificateFile(folder), "CERTIFICATE", certificate),
	)
}

func write(path, kind string, content []byte) error {
	return os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: content}), 0o600)
}

func keyFile(folder string) string         { return filepath.Join(folder, "key.pem") }
func certificateFile(folder string) string { return filepath.Join(folder, "certificate.pem") }
