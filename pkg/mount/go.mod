module lkt/mount

go 1.24

require (
	golang.org/x/sys v0.22.0
	lkt/format v0.0.0
)

// How file systems are recognized, the same for both.
replace lkt/format => ../format

// Debian's golang-golang-x-sys-dev: builds and tests need no module proxy.
replace golang.org/x/sys => /usr/share/gocode/src/golang.org/x/sys
