module lkt/users

go 1.24
