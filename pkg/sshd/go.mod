module lkt/sshd

go 1.24

require (
	github.com/pkg/sftp v0.0.0
	golang.org/x/crypto v0.0.0
	golang.org/x/sys v0.22.0
	gopkg.in/yaml.v3 v3.0.1
	lkt/atomicfile v0.0.0
	lkt/bounds v0.0.0
	lkt/logs v0.0.0
	lkt/sandbox v0.0.0
)

require (
	github.com/kr/fs v0.0.0 // indirect
	lkt/init v0.0.0 // indirect
)

replace (
	lkt/atomicfile => ../atomicfile
	lkt/bounds => ../bounds
	lkt/init => ../init
	lkt/logs => ../logs
	lkt/sandbox => ../sandbox
)

// Debian's golang-golang-x-sys-dev: builds and tests need no module proxy.
replace golang.org/x/sys => /usr/share/gocode/src/golang.org/x/sys

// The modules of lkt/golang-ssh: Debian's packages, patched.
replace (
	github.com/kr/fs => /usr/share/golang-ssh/fs
	github.com/pkg/sftp => /usr/share/golang-ssh/sftp
	golang.org/x/crypto => /usr/share/golang-ssh/crypto
	gopkg.in/yaml.v3 => /usr/share/golang-ssh/yaml
)
