module lkt/docker-start

go 1.24
