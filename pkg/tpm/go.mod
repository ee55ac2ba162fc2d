module lkt/tpm

go 1.24

require (
	github.com/google/go-tpm v0.9.3
	golang.org/x/sys v0.22.0
	lkt/atomicfile v0.0.0
	lkt/sandbox v0.0.0
)

// The code that replaces files, and that confines processes.
replace (
	lkt/atomicfile => ../atomicfile
	lkt/sandbox => ../sandbox
)

// Debian's golang-github-google-go-tpm-dev and golang-golang-x-sys-dev: builds and tests need no
// module proxy.
replace (
	github.com/google/go-tpm => /usr/share/gocode/src/github.com/google/go-tpm
	golang.org/x/sys => /usr/share/gocode/src/golang.org/x/sys
)
