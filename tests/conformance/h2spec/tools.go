//go:build tools

// Package h2spec pins the version of h2spec that tests/e2e/test_h2spec.py builds and runs.
package h2spec

import _ "github.com/summerwind/h2spec/cmd/h2spec"
