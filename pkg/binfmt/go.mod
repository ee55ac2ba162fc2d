module lkt/binfmt

go 1.24
