// An S3 server in memory for the benchmarks: gofakes3 that can be filled at once and whose capacity can change.
package main

import (
	"flag"
	"log"
	"net/http"

	"github.com/johannesboyne/gofakes3"
	"github.com/johannesboyne/gofakes3/backend/s3mem"
)

func main() {
	address := flag.String("address", "127.0.0.1:9000", "where to listen")
	contents := flag.String("contents", "", "folder of files that seeded objects hold")
	serviceTime := flag.Duration("service-time", 0, "how long each request takes at least")
	flag.Parse()

	backend := s3mem.New()
	server := gofakes3.New(backend, gofakes3.WithIntegrityCheck(false), gofakes3.WithLogger(gofakes3.DiscardLog()))
	limited := &capacity{next: server.Server(), serviceTime: *serviceTime}

	// No bucket may be named "-": these paths are free.
	mux := http.NewServeMux()
	mux.Handle("PUT /-/seed", seeder{backend, *contents})
	mux.HandleFunc("PUT /-/capacity", limited.change)
	mux.HandleFunc("GET /-/stats", limited.tell)
	log.Fatal(http.ListenAndServe(*address, route(mux, limited)))
}

// route does not use the mux for S3: it would clean the keys in the paths.
func route(own, s3 http.Handler) http.Handler {
	return http.HandlerFunc(func(answer http.ResponseWriter, request *http.Request) {
		if len(request.URL.Path) > 3 && request.URL.Path[:3] == "/-/" {
			own.ServeHTTP(answer, request)
		} else {
			s3.ServeHTTP(answer, request)
		}
	})
}
