module lkt/qemu-ga

go 1.24

require (
	golang.org/x/sys v0.22.0 // indirect
	lkt/sandbox v0.0.0
	lkt/shutdown v0.0.0
)

// The code that confines processes, and the one that shuts the machine down.
replace (
	lkt/sandbox => ../sandbox
	lkt/shutdown => ../shutdown
)

// Debian's golang-golang-x-sys-dev: builds and tests need no module proxy.
replace golang.org/x/sys => /usr/share/gocode/src/golang.org/x/sys
