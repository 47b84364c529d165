// Package verifygrpc checks access tokens in gRPC servers, as package verify does over
// HTTP. It is a package of its own so that package verify needs no module of gRPC.
//
// A call bears its token in the metadata, under authorization, as "Bearer " and the
// token. One that may not pass ends with the status
//
//   - Unauthenticated if there is no token, more than one, or one that is not valid;
//   - PermissionDenied if the token lacks a scope, with those that it lacks;
//   - Unavailable if it could not be checked. Try again later.
package verifygrpc

import (
	"context"
	"errors"
	"strings"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/wardkey/wardkey/verify"
)

// An Interceptor lets calls pass that bear a valid token, and gives the token to the
// handler by [verify.FromContext].
type Interceptor struct {
	Verifier *verify.Verifier

	// Needed returns the scopes that the token of a call needs. The method is its full
	// name, as in /audience.v1.Profiles/Read. If it is nil, any valid token will do.
	Needed func(method string) []verify.Scope

	// Open says for which methods no token is asked: health checks, for example. If
	// it is nil, for none.
	Open func(method string) bool
}

// Unary is a [grpc.UnaryServerInterceptor].
func (i Interceptor) Unary(ctx context.Context, request any, info *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
	ctx, err := i.admit(ctx, info.FullMethod)
	if err != nil {
		return nil, err
	}
	return handler(ctx, request)
}

// Stream is a [grpc.StreamServerInterceptor]. The token is checked when the stream
// begins; one that lasts longer than its token is the handler's to end.
func (i Interceptor) Stream(server any, stream grpc.ServerStream, info *grpc.StreamServerInfo, handler grpc.StreamHandler) error {
	ctx, err := i.admit(stream.Context(), info.FullMethod)
	if err != nil {
		return err
	}
	return handler(server, admitted{stream, ctx})
}

// admitted is a stream whose context has the token.
type admitted struct {
	grpc.ServerStream
	ctx context.Context
}

func (s admitted) Context() context.Context { return s.ctx }

// admit returns the context for the handler, or the status that ends the call.
func (i Interceptor) admit(ctx context.Context, method string) (context.Context, error) {
	if i.Open != nil && i.Open(method) {
		return ctx, nil
	}
	raw, err := bearer(ctx)
	if err != nil {
		return nil, err
	}
	t, err := i.Verifier.Verify(ctx, raw)
	if err == nil && i.Needed != nil {
		err = i.Verifier.Permit(ctx, t, i.Needed(method)...)
	}
	if err != nil {
		return nil, refusal(err)
	}
	return verify.NewContext(ctx, t), nil
}

// bearer returns the one token that a call bears.
func bearer(ctx context.Context) (string, error) {
	fields := metadata.ValueFromIncomingContext(ctx, "authorization")
	if len(fields) == 0 {
		return "", status.Error(codes.Unauthenticated, "the call bears no token")
	}
	scheme, token, _ := strings.Cut(fields[0], " ")
	if len(fields) > 1 || !strings.EqualFold(scheme, "Bearer") {
		return "", status.Error(codes.Unauthenticated, "a call must bear one token, as authorization: Bearer and the token")
	}
	return token, nil
}

// refusal is what the caller is told. It says nothing of what is inside.
func refusal(err error) error {
	switch {
	case errors.Is(err, verify.ErrInvalidToken):
		return status.Error(codes.Unauthenticated, verify.Reason(err))
	case errors.Is(err, verify.ErrInsufficientScope):
		return status.Error(codes.PermissionDenied, strings.TrimPrefix(err.Error(), "verify: "))
	}
	return status.Error(codes.Unavailable, "the token cannot be checked now, try again later")
}
