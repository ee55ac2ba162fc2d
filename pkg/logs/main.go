// Command lkt-logs is the program alone; lkt/sshd includes it.
package main

import (
	"os"

	"lkt/logs/command"
)

func main() { os.Exit(command.Main(os.Args[1:])) }
