module lkt/sshd

go 1.24
