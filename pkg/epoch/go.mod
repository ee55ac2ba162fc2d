module lkt/epoch

go 1.24
