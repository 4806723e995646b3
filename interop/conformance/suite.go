//go:build tools

// Package conformance pins the version of the OCI distribution conformance suite that
// tests/conformance.rs builds and runs. It has no code of its own.
package conformance

import _ "github.com/opencontainers/distribution-spec/conformance"
