package main

import (
	"bytes"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strconv"

	"github.com/johannesboyne/gofakes3/backend/s3mem"
)

// seeder answers PUT /-/seed?bucket=B&pattern=image/avatar-%d.png&objects=N: N objects, numbered from 0. Object i holds
// file i modulo their number of a folder, in the order of names.
type seeder struct {
	backend *s3mem.Backend
	folder  string
}

func (s seeder) ServeHTTP(answer http.ResponseWriter, request *http.Request) {
	objects, err := strconv.Atoi(request.FormValue("objects"))
	if err == nil {
		err = s.seed(request.FormValue("bucket"), request.FormValue("pattern"), objects)
	}
	if err != nil {
		http.Error(answer, err.Error(), http.StatusBadRequest)
	}
}

func (s seeder) seed(bucket, pattern string, objects int) error {
	bodies, err := read(s.folder)
	if err != nil {
		return err
	}
	meta := map[string]string{"Content-Type": "image/png"}
	for number := range objects {
		body := bodies[number%len(bodies)]
		key := fmt.Sprintf(pattern, number)
		if _, err := s.backend.PutObject(bucket, key, meta, bytes.NewReader(body), int64(len(body)), nil); err != nil {
			return err
		}
	}
	return nil
}

func read(folder string) ([][]byte, error) {
	names, err := filepath.Glob(filepath.Join(folder, "*"))
	if err != nil || len(names) == 0 {
		return nil, fmt.Errorf("-contents %q: no files there (%v)", folder, err)
	}
	var bodies [][]byte
	for _, name := range names {
		body, err := os.ReadFile(name)
		if err != nil {
			return nil, err
		}
		bodies = append(bodies, body)
	}
	return bodies, nil
}
