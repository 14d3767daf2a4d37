package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"
)

// burst is how much of one second's capacity may be used at once.
const burst = 0.1

const slowDown = `<?xml version="1.0" encoding="UTF-8"?>
<Error><Code>SlowDown</Code><Message>Please reduce your request rate.</Message></Error>`

// capacity answers 503 SlowDown to what comes faster than its rate, as S3 does with a partition that is too hot.
// PUT /-/capacity?rate=N changes the rate (requests per second; 0: no limit), GET /-/stats tells what went on.
type capacity struct {
	next        http.Handler
	serviceTime time.Duration

	mutex  sync.Mutex
	rate   float64
	tokens float64
	last   time.Time
	stats  stats
}

type stats struct {
	InFlight int `json:"inFlight"`
	Accepted int `json:"accepted"`
	Refused  int `json:"refused"`
}

func (c *capacity) ServeHTTP(answer http.ResponseWriter, request *http.Request) {
	accepted := c.begin()
	defer c.end()
	time.Sleep(c.serviceTime)
	if accepted {
		c.next.ServeHTTP(answer, request)
		return
	}
	answer.Header().Set("Content-Type", "application/xml")
	answer.WriteHeader(http.StatusServiceUnavailable)
	_, _ = strings.NewReader(slowDown).WriteTo(answer)
}

// begin counts a request and tells whether there is capacity for it.
func (c *capacity) begin() bool {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	c.stats.InFlight++
	now := time.Now()
	c.tokens = min(c.rate*burst, c.tokens+c.rate*now.Sub(c.last).Seconds())
	c.last = now
	if c.rate > 0 && c.tokens < 1 {
		c.stats.Refused++
		return false
	}
	c.tokens--
	c.stats.Accepted++
	return true
}

func (c *capacity) end() {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	c.stats.InFlight--
}

func (c *capacity) tell(answer http.ResponseWriter, _ *http.Request) {
	c.mutex.Lock()
	seen := c.stats
	c.mutex.Unlock()
	_ = json.NewEncoder(answer).Encode(seen)
}

func (c *capacity) change(answer http.ResponseWriter, request *http.Request) {
	text := request.FormValue("rate")
	rate, err := strconv.ParseFloat(text, 64)
	if err != nil || rate < 0 {
		http.Error(answer, fmt.Sprintf("rate=%q: write requests per second", text), http.StatusBadRequest)
		return
	}
	c.mutex.Lock()
	defer c.mutex.Unlock()
	c.rate, c.tokens, c.last = rate, rate*burst, time.Now()
}
