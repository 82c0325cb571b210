// A small trickle server made of Go's net/http, for `npm run bench -- trickle --peer` to compare with where the one of
// go-livepeer is not at hand: channels with numbered segments that many may read while they are written. It holds what the
// benchmark needs, in the way Go programs do it: a goroutine a request, a condition for who waits, each chunk flushed.
//
//	go build -C bench/peers/trickle -o server . && bench/peers/trickle/server PORT
package main

import (
	"io"
	"log"
	"net/http"
	"os"
	"strconv"
	"sync"
)

const (
	// Segments of a channel that are kept.
	ring = 64
	// Of one read of a publisher's body.
	chunkBytes = 32 * 1024
)

// segment is bytes that only grow, until they are complete.
type segment struct {
	mu     sync.Mutex
	grown  *sync.Cond
	bytes  []byte
	closed bool
}

func newSegment() *segment {
	s := &segment{}
	s.grown = sync.NewCond(&s.mu)
	return s
}

func (s *segment) write(chunk []byte) {
	s.mu.Lock()
	s.bytes = append(s.bytes, chunk...)
	s.mu.Unlock()
	s.grown.Broadcast()
}

func (s *segment) close() {
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	s.grown.Broadcast()
}

// after waits for bytes beyond the first `from`; none means that there will be no more.
func (s *segment) after(from int) []byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	for len(s.bytes) == from && !s.closed {
		s.grown.Wait()
	}
	return s.bytes[from:]
}

type channel struct {
	mu       sync.Mutex
	segments map[int]*segment
}

// at gives the segment of that number; readers may ask before its publisher.
func (c *channel) at(seq int) *segment {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.segments[seq] == nil {
		c.segments[seq] = newSegment()
		delete(c.segments, seq-ring)
	}
	return c.segments[seq]
}

func (c *channel) close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, s := range c.segments {
		s.close()
	}
}

type server struct {
	mu       sync.Mutex
	channels map[string]*channel
}

func (s *server) find(r *http.Request) *channel {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.channels[r.PathValue("name")]
}

func (s *server) create(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.channels[r.PathValue("name")] == nil {
		s.channels[r.PathValue("name")] = &channel{segments: map[int]*segment{}}
	}
}

func (s *server) remove(w http.ResponseWriter, r *http.Request) {
	if c := s.find(r); c != nil {
		c.close()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.channels, r.PathValue("name"))
}

// segment answers what is wrong with the request, and gives nil then.
func (s *server) segment(w http.ResponseWriter, r *http.Request) *segment {
	c := s.find(r)
	seq, err := strconv.Atoi(r.PathValue("seq"))
	if c == nil || err != nil || seq < 0 {
		http.Error(w, "no such channel or segment", http.StatusNotFound)
		return nil
	}
	return c.at(seq)
}

func (s *server) post(w http.ResponseWriter, r *http.Request) {
	target := s.segment(w, r)
	if target == nil {
		return
	}
	defer target.close()
	chunk := make([]byte, chunkBytes)
	for {
		n, err := r.Body.Read(chunk)
		target.write(chunk[:n])
		if err == io.EOF {
			return
		}
		if err != nil {
			http.Error(w, "the body broke off", http.StatusInternalServerError)
			return
		}
	}
}

func (s *server) get(w http.ResponseWriter, r *http.Request) {
	source := s.segment(w, r)
	if source == nil {
		return
	}
	flusher := http.NewResponseController(w)
	for sent := 0; ; {
		chunk := source.after(sent)
		if len(chunk) == 0 {
			return
		}
		if _, err := w.Write(chunk); err != nil {
			return
		}
		if err := flusher.Flush(); err != nil {
			return
		}
		sent += len(chunk)
	}
}

func main() {
	if len(os.Args) != 2 {
		log.Fatal("usage: server PORT")
	}
	s := &server{channels: map[string]*channel{}}
	http.HandleFunc("POST /trickle/{name}", s.create)
	http.HandleFunc("DELETE /trickle/{name}", s.remove)
	http.HandleFunc("POST /trickle/{name}/{seq}", s.post)
	http.HandleFunc("GET /trickle/{name}/{seq}", s.get)
	log.Fatal(http.ListenAndServe("127.0.0.1:"+os.Args[1], nil))
}
