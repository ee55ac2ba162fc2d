module lkt/sshd

go 1.24

require (
	lkt/init v0.0.0 // indirect
	lkt/logs v0.0.0
)

replace (
	lkt/init => ../init
	lkt/logs => ../logs
)
