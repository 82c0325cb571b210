// A small media server made of Pion (github.com/pion/webrtc), for `npm run bench -- viewers --peer` to compare with:
// it forwards a WHIP publisher's video to WHEP viewers, as Pion's own examples do, with all settings left as Pion has
// them but for candidates on loopback. It decodes nothing.
//
//	go build -C bench/peers/pion -o forwarder . && bench/peers/pion/forwarder PORT
package main

import (
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"os"
	"sync"

	"github.com/pion/rtcp"
	"github.com/pion/webrtc/v4"
)

// An SDP is far smaller.
const maxBody = 1 << 20

// stream is what one publisher sends.
type stream struct {
	track *webrtc.TrackLocalStaticRTP
	// requestKeyframe asks the publisher for a frame that can be begun with.
	requestKeyframe func()
}

type server struct {
	api     *webrtc.API
	mu      sync.Mutex
	streams map[string]*stream
	peers   map[string]*webrtc.PeerConnection
	count   int
}

func main() {
	if len(os.Args) != 2 {
		log.Fatal("usage: forwarder PORT")
	}
	settings := webrtc.SettingEngine{}
	settings.SetIncludeLoopbackCandidate(true)
	// Without engines of our own the API has Pion's codecs, and its interceptors: NACK, RTCP reports, TWCC, statistics.
	s := &server{
		api:     webrtc.NewAPI(webrtc.WithSettingEngine(settings)),
		streams: map[string]*stream{},
		peers:   map[string]*webrtc.PeerConnection{},
	}
	http.HandleFunc("POST /whip/{stream}", s.handle(s.publish))
	http.HandleFunc("POST /whep/{stream}", s.handle(s.watch))
	http.HandleFunc("DELETE /{kind}/{stream}/{session}", s.end)
	log.Fatal(http.ListenAndServe("127.0.0.1:"+os.Args[1], nil))
}

// handle answers an offer; prepare adds to the connection what it is for.
func (s *server) handle(prepare func(peer *webrtc.PeerConnection, name string) error) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		offer, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		peer, err := s.api.NewPeerConnection(webrtc.Configuration{})
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		answer, err := "", prepare(peer, r.PathValue("stream"))
		if err == nil {
			answer, err = exchange(peer, string(offer))
		}
		if err != nil {
			_ = peer.Close()
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		w.Header().Set("Content-Type", "application/sdp")
		w.Header().Set("Location", s.keep(peer, r.URL.Path))
		w.WriteHeader(http.StatusCreated)
		_, _ = io.WriteString(w, answer)
	}
}

// exchange returns the answer with all candidates in it.
func exchange(peer *webrtc.PeerConnection, offer string) (string, error) {
	if err := peer.SetRemoteDescription(webrtc.SessionDescription{Type: webrtc.SDPTypeOffer, SDP: offer}); err != nil {
		return "", err
	}
	answer, err := peer.CreateAnswer(nil)
	if err != nil {
		return "", err
	}
	gathered := webrtc.GatheringCompletePromise(peer)
	if err := peer.SetLocalDescription(answer); err != nil {
		return "", err
	}
	<-gathered
	return peer.LocalDescription().SDP, nil
}

// keep remembers a connection until it is ended, and returns the path by which that is done.
func (s *server) keep(peer *webrtc.PeerConnection, path string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.count++
	location := fmt.Sprintf("%s/%d", path, s.count)
	s.peers[location] = peer
	return location
}

func (s *server) end(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	peer := s.peers[r.URL.Path]
	delete(s.peers, r.URL.Path)
	s.mu.Unlock()
	if peer == nil {
		http.NotFound(w, r)
		return
	}
	_ = peer.Close()
}

func (s *server) publish(peer *webrtc.PeerConnection, name string) error {
	kind := webrtc.RTPTransceiverInit{Direction: webrtc.RTPTransceiverDirectionRecvonly}
	if _, err := peer.AddTransceiverFromKind(webrtc.RTPCodecTypeVideo, kind); err != nil {
		return err
	}
	peer.OnTrack(func(remote *webrtc.TrackRemote, _ *webrtc.RTPReceiver) {
		local, err := webrtc.NewTrackLocalStaticRTP(remote.Codec().RTPCodecCapability, "video", name)
		if err != nil {
			log.Print(err)
			return
		}
		requestKeyframe := func() {
			_ = peer.WriteRTCP([]rtcp.Packet{&rtcp.PictureLossIndication{MediaSSRC: uint32(remote.SSRC())}})
		}
		s.mu.Lock()
		s.streams[name] = &stream{track: local, requestKeyframe: requestKeyframe}
		s.mu.Unlock()
		buffer := make([]byte, 1500)
		for {
			n, _, err := remote.Read(buffer)
			if err != nil {
				s.forget(name, local)
				return
			}
			// A closed pipe is a viewer that has just left.
			if _, err := local.Write(buffer[:n]); err != nil && !errors.Is(err, io.ErrClosedPipe) {
				log.Print(err)
			}
		}
	})
	return nil
}

func (s *server) forget(name string, track *webrtc.TrackLocalStaticRTP) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if one := s.streams[name]; one != nil && one.track == track {
		delete(s.streams, name)
	}
}

func (s *server) watch(peer *webrtc.PeerConnection, name string) error {
	s.mu.Lock()
	source := s.streams[name]
	s.mu.Unlock()
	if source == nil {
		return fmt.Errorf("nobody publishes %q", name)
	}
	sender, err := peer.AddTrack(source.track)
	if err != nil {
		return err
	}
	peer.OnConnectionStateChange(func(state webrtc.PeerConnectionState) {
		if state == webrtc.PeerConnectionStateConnected {
			source.requestKeyframe()
		}
	})
	// Reading is what lets the interceptors work.
	go func() {
		for {
			packets, _, err := sender.ReadRTCP()
			if err != nil {
				return
			}
			for _, packet := range packets {
				switch packet.(type) {
				case *rtcp.PictureLossIndication, *rtcp.FullIntraRequest:
					source.requestKeyframe()
				}
			}
		}
	}()
	return nil
}
