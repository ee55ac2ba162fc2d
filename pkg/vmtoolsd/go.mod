module lkt/vmtoolsd

go 1.24

require (
	golang.org/x/sys v0.22.0
	lkt/sandbox v0.0.0
	lkt/shutdown v0.0.0
	lkt/vmware v0.0.0
)

// The code that confines processes, shuts the machine down, and talks to VMware.
replace (
	lkt/sandbox => ../sandbox
	lkt/shutdown => ../shutdown
	lkt/vmware => ../vmware
)

// Debian's golang-golang-x-sys-dev: builds and tests need no module proxy.
replace golang.org/x/sys => /usr/share/gocode/src/golang.org/x/sys
