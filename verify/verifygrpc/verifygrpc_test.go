package verifygrpc_test

import (
	"context"
	"crypto/ed25519"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/grpc/test/bufconn"

	"github.com/wardkey/wardkey/verify"
	"github.com/wardkey/wardkey/verify/verifygrpc"
)

func Example() {
	verifier, err := verify.New("https://auth.example", "https://api.example")
	if err != nil {
		panic(err)
	}
	defer verifier.Close()

	tokens := verifygrpc.Interceptor{
		Verifier: verifier,
		Needed: func(method string) []verify.Scope {
			if strings.HasPrefix(method, "/audience.v1.Profiles/Read") {
				return []verify.Scope{verify.Keyspace("email", "read")}
			}
			return []verify.Scope{verify.Keyspace("email", "write")}
		},
		Open: func(method string) bool { return strings.HasPrefix(method, "/grpc.health.v1.Health/") },
	}
	server := grpc.NewServer(grpc.UnaryInterceptor(tokens.Unary), grpc.StreamInterceptor(tokens.Stream))
	_ = server // register your services, then Serve
}

// TestInterceptor calls the health service, which has a method of either kind, as if
// it were yours: Check needs a scope, List needs nothing, Watch streams.
func TestInterceptor(t *testing.T) {
	i := newIssuer(t)
	client := i.serve(t, verifygrpc.Interceptor{
		Verifier: i.verifier(t),
		Needed: func(method string) []verify.Scope {
			if method == healthpb.Health_List_FullMethodName {
				return nil
			}
			return []verify.Scope{verify.Section("nordic"), verify.Keyspace("email", "read")}
		},
	})
	good := i.token("section:nordic email:read", time.Hour)
	for _, tt := range []struct {
		name          string
		authorization []string
		code          codes.Code
		message       string
	}{
		{"a good token", []string{"Bearer " + good}, codes.OK, ""},
		{"small scheme", []string{"bearer " + good}, codes.OK, ""},
		{"nothing", nil, codes.Unauthenticated, "the call bears no token"},
		{"another scheme", []string{"Basic YTpi"}, codes.Unauthenticated, "a call must bear one token, as authorization: Bearer and the token"},
		{"two tokens", []string{"Bearer " + good, "Bearer " + good}, codes.Unauthenticated, "a call must bear one token, as authorization: Bearer and the token"},
		{"two tokens in one", []string{"Bearer " + good + " " + good}, codes.Unauthenticated, "the token is not an access token of RFC 9068"},
		{"altered", []string{"Bearer " + i.token("section:* *:read", time.Hour) + "A"}, codes.Unauthenticated, "the token is not signed with a key of the issuer"},
		{"expired", []string{"Bearer " + i.token("section:* *:read", -time.Hour)}, codes.Unauthenticated, "the token has expired"},
		{"lacks a scope", []string{"Bearer " + i.token("section:nordic", time.Hour)}, codes.PermissionDenied, "the token does not hold the scope that is needed: it lacks email:read"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			ctx := metadata.NewOutgoingContext(t.Context(), metadata.MD{"authorization": tt.authorization})
			_, unary := client.Check(ctx, &healthpb.HealthCheckRequest{})
			for kind, err := range map[string]error{"unary": unary, "stream": watch(ctx, client)} {
				if s := status.Convert(err); s.Code() != tt.code || s.Message() != tt.message {
					t.Errorf("%s: %v %q; want %v %q", kind, s.Code(), s.Message(), tt.code, tt.message)
				}
			}
		})
	}
	ctx := metadata.AppendToOutgoingContext(t.Context(), "authorization", "Bearer "+i.token("", time.Hour))
	if _, err := client.List(ctx, &healthpb.HealthListRequest{}); err != nil {
		t.Errorf("a method that needs no scope: %v", err)
	}
	if len(i.clients) != 5 {
		t.Errorf("handlers got the tokens of %v, want five of billing", i.clients)
	}
}

func TestOpen(t *testing.T) {
	i := newIssuer(t)
	client := i.serve(t, verifygrpc.Interceptor{
		Verifier: i.verifier(t),
		Open:     func(method string) bool { return method == healthpb.Health_Check_FullMethodName },
	})
	if _, err := client.Check(t.Context(), &healthpb.HealthCheckRequest{}); err != nil {
		t.Errorf("an open method: %v", err)
	}
	if err := watch(t.Context(), client); status.Code(err) != codes.Unauthenticated {
		t.Errorf("a method that is not open: %v, want Unauthenticated", err)
	}
}

// TestUnavailable holds that an issuer which is away is not the caller's fault, and is not told of.
func TestUnavailable(t *testing.T) {
	i := newIssuer(t)
	client := i.serve(t, verifygrpc.Interceptor{Verifier: i.verifier(t)})
	i.away = true
	ctx := metadata.AppendToOutgoingContext(t.Context(), "authorization", "Bearer "+i.token("", time.Hour))
	_, err := client.Check(ctx, &healthpb.HealthCheckRequest{})
	if s := status.Convert(err); s.Code() != codes.Unavailable || strings.Contains(s.Message(), "example") {
		t.Errorf("Check = %v, want Unavailable and nothing about the issuer", err)
	}
}

// watch begins a stream and waits for its first message.
func watch(ctx context.Context, client healthpb.HealthClient) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stream, err := client.Watch(ctx, &healthpb.HealthCheckRequest{})
	if err != nil {
		return err
	}
	_, err = stream.Recv()
	return err
}

// An issuer is a Wardkey that is as small as these tests need, and the transport to it.
type issuer struct {
	key     ed25519.PrivateKey
	away    bool
	clients []string // those whose tokens reached a handler
}

func newIssuer(t *testing.T) *issuer {
	t.Helper()
	_, key, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	return &issuer{key: key}
}

func (i *issuer) RoundTrip(*http.Request) (*http.Response, error) {
	if i.away {
		return nil, errors.New("connection to auth.example refused")
	}
	w := httptest.NewRecorder()
	public := base64.RawURLEncoding.EncodeToString(i.key.Public().(ed25519.PublicKey))
	io.WriteString(w, `{"keys":[{"kty":"OKP","crv":"Ed25519","alg":"EdDSA","kid":"1","x":"`+public+`"}]}`)
	return w.Result(), nil
}

func (i *issuer) verifier(t *testing.T) *verify.Verifier {
	t.Helper()
	v, err := verify.New("https://auth.example", "https://api.example",
		verify.WithJWKSURL("https://auth.example/keys"),
		verify.WithHTTPClient(&http.Client{Transport: i}),
		verify.WithLogger(slog.New(slog.DiscardHandler)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(v.Close)
	return v
}

func (i *issuer) token(scope string, lifetime time.Duration) string {
	now := time.Now()
	claims, err := json.Marshal(map[string]any{
		"iss": "https://auth.example", "aud": "https://api.example", "sub": "billing", "client_id": "billing", "jti": "1",
		"iat": now.Unix(), "exp": now.Add(lifetime).Unix(), "scope": scope,
	})
	if err != nil {
		panic(err)
	}
	signed := base64.RawURLEncoding.EncodeToString([]byte(`{"typ":"at+jwt","alg":"EdDSA","kid":"1"}`)) + "." + base64.RawURLEncoding.EncodeToString(claims)
	return signed + "." + base64.RawURLEncoding.EncodeToString(ed25519.Sign(i.key, []byte(signed)))
}

// serve starts a server of the health service behind the interceptor, in memory.
func (i *issuer) serve(t *testing.T, tokens verifygrpc.Interceptor) healthpb.HealthClient {
	t.Helper()
	server := grpc.NewServer(
		grpc.ChainUnaryInterceptor(tokens.Unary, func(ctx context.Context, request any, _ *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
			i.note(ctx)
			return handler(ctx, request)
		}),
		grpc.ChainStreamInterceptor(tokens.Stream, func(srv any, stream grpc.ServerStream, _ *grpc.StreamServerInfo, handler grpc.StreamHandler) error {
			i.note(stream.Context())
			return handler(srv, stream)
		}),
	)
	healthpb.RegisterHealthServer(server, health.NewServer())
	listener := bufconn.Listen(1 << 16)
	go server.Serve(listener)
	t.Cleanup(server.Stop)
	connection, err := grpc.NewClient("passthrough:memory", grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return listener.DialContext(ctx) }))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { connection.Close() })
	return healthpb.NewHealthClient(connection)
}

// note remembers whose token a handler was given.
func (i *issuer) note(ctx context.Context) {
	if t, ok := verify.FromContext(ctx); ok {
		i.clients = append(i.clients, t.ClientID)
	}
}
