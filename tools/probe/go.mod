module lkt/probe

go 1.24
