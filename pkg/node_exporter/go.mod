module lkt/node_exporter

go 1.24
