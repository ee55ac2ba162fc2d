import { LktError } from '@lkt/core';
import type { NewPackage } from './package-templates.ts';

/**
 * Returns the files of a web server that replace those of a service.
 * @param service the files of a service in the same language
 * @throws USAGE_INVALID for a language without a web server
 */
export function serverFiles(
  { name, language }: NewPackage,
  port: number,
  service: Readonly<Record<string, string>>,
): Readonly<Record<string, string>> {
  if (language === 'shell')
    throw new LktError('USAGE_INVALID', 'there is no web server in shell', {
      fix: 'use --lang go or --lang c',
    });
  const Dockerfile = (service['Dockerfile'] ?? '').replace(
    'ENTRYPOINT',
    `EXPOSE ${port}\nENTRYPOINT`,
  );
  return language === 'go'
    ? { Dockerfile, 'main.go': goServer(name, port) }
    : { Dockerfile, [`${name}.c`]: cServer(name, port) };
}

function goServer(name: string, port: number): string {
  return `// The program ${name} serves its name by HTTP.
package main

import (
	"fmt"
	"log"
	"net/http"
	"time"
)

func main() {
	answer := func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "${name}") }
	server := http.Server{
		Addr:         ":${port}",
		Handler:      http.HandlerFunc(answer),
		ReadTimeout:  10 * time.Second,
		WriteTimeout: 10 * time.Second,
	}
	log.Fatal(server.ListenAndServe())
}
`;
}

function cServer(name: string, port: number): string {
  return `// Serves its name by HTTP, to one client after the other.
#include <arpa/inet.h>
#include <signal.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

static const char answer[] =
  "HTTP/1.0 200 OK\\r\\nContent-Type: text/plain\\r\\n\\r\\n${name}\\n";

int main(void) {
  signal(SIGPIPE, SIG_IGN);
  int server = socket(AF_INET, SOCK_STREAM, 0);
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(${port})};
  if (server < 0 || bind(server, (struct sockaddr *)&address, sizeof address) < 0 ||
      listen(server, 64) < 0) {
    perror("${name}");
    return 1;
  }
  for (;;) {
    int client = accept(server, NULL, NULL);
    if (client < 0)
      continue;
    struct timeval limit = {.tv_sec = 5};
    setsockopt(client, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    char request[4096];
    if (read(client, request, sizeof request) > 0 &&
        write(client, answer, sizeof answer - 1) < 0)
      perror("${name}");
    close(client);
  }
}
`;
}
