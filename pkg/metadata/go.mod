module lkt/metadata

go 1.24
