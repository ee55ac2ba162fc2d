module lkt/puppet

go 1.24
