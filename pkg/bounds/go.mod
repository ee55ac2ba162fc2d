module lkt/bounds

go 1.24
