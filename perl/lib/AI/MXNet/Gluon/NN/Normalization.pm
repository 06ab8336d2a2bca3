package AI::MXNet::Gluon::NN::Normalization;
use 5.014;
use strict;
use warnings;

# Layers that bring their input to mean 0 and variance 1, then scale and shift it.

package AI::MXNet::Gluon::NN::BatchNorm;    ## no critic (ProhibitMultiplePackages)
use AI::MXNet::Gluon::Mouse;
extends 'AI::MXNet::Gluon::HybridBlock';

has axis => (is => 'ro', isa => 'DimSize', default => 1);
has momentum => (is => 'ro', isa => 'Num', default => 0.9);
has epsilon => (is => 'ro', isa => 'Num', default => 1e-5);
has [qw(center scale)] => (is => 'ro', isa => 'Bool', default => 1);
has use_global_stats => (is => 'ro', isa => 'Bool', default => 0);
has beta_initializer => (is => 'ro', isa => 'Initializer', default => 'zeros');
has [qw(gamma_initializer running_mean_initializer running_variance_initializer)] =>
    (is => 'ro', isa => 'Initializer', default => 'ones');
has in_channels => (is => 'ro', isa => 'DimSize', default => 0);
has _kwargs => (is => 'rw', init_arg => undef);
has [qw(gamma beta running_mean running_var)] => (is => 'rw', init_arg => undef);

sub BUILD
{
    my $self = shift;
    $self->_kwargs(
        [
            axis => $self->axis,
            eps => $self->epsilon,
            momentum => $self->momentum,
            fix_gamma => $self->scale ? 0 : 1,
            $self->use_global_stats ? (use_global_stats => 1) : ()
        ]
    );
    my $get = sub {
        my ($name, $init, $trained, $differentiable) = @_;
        return $self->params->get(
            $name,
            grad_req => $trained ? 'write' : 'null',
            shape => [$self->in_channels],
            init => $init,
            allow_deferred_init => 1,
            differentiable => $differentiable
        );
    };
    $self->gamma($get->('gamma', $self->gamma_initializer, $self->scale, $self->scale));
    $self->beta($get->('beta', $self->beta_initializer, $self->center, $self->center));
    $self->running_mean($get->('running_mean', $self->running_mean_initializer, 0, 0));
    $self->running_var($get->('running_var', $self->running_variance_initializer, 0, 0));
    return;
}

# Statistics of half precision are kept in single precision.
sub cast
{
    my ($self, $dtype) = @_;
    return $self->SUPER::cast($dtype eq 'float16' ? 'float32' : $dtype);
}

sub hybrid_forward
{
    my ($self, $F, $x, undef, $gamma, undef, $beta, undef, $mean, undef, $var) = @_;
    return $F->BatchNorm($x, $gamma, $beta, $mean, $var, @{ $self->{_kwargs} }, name => 'fwd');
}

sub _text
{
    my $self = shift;
    my @kwargs = @{ $self->_kwargs };
    my @parts;
    while (my ($name, $value) = splice @kwargs, 0, 2) { push @parts, "$name=$value" }
    my $channels = $self->gamma->shape->[0];
    push @parts, "in_channels=$channels" if $channels;
    return 'BatchNorm(' . join(', ', @parts) . ')';
}

__PACKAGE__->register('AI::MXNet::Gluon::NN');

# What LayerNorm and InstanceNorm share.
package AI::MXNet::Gluon::NN::ChannelNorm;    ## no critic (ProhibitMultiplePackages)
use AI::MXNet::Gluon::Mouse;
extends 'AI::MXNet::Gluon::HybridBlock';

has epsilon => (is => 'ro', isa => 'Num', default => 1e-5);
has center => (is => 'ro', isa => 'Bool', default => 1);
has scale => (is => 'ro', isa => 'Bool', default => 0);
has beta_initializer => (is => 'ro', isa => 'Initializer', default => 'zeros');
has gamma_initializer => (is => 'ro', isa => 'Initializer', default => 'ones');
has in_channels => (is => 'ro', isa => 'DimSize', default => 0);
has [qw(gamma beta)] => (is => 'rw', init_arg => undef);

sub BUILD
{
    my $self = shift;

    # scale decides about both, as it always has.
    for my $name (qw(gamma beta)) {
        my $init = "${name}_initializer";
        $self->$name(
            $self->params->get(
                $name,
                grad_req => $self->scale ? 'write' : 'null',
                shape => [$self->in_channels],
                init => $self->$init,
                allow_deferred_init => 1
            )
        );
    }
    return;
}

sub _text
{
    my $self = shift;
    return sprintf '%s(eps=%s, axis=%s, center=%d, scale=%d, , in_channels=%s)', $self->class, $self->epsilon,
        $self->axis, $self->center, $self->scale, $self->in_channels;
}

package AI::MXNet::Gluon::NN::LayerNorm;    ## no critic (ProhibitMultiplePackages)
use AI::MXNet::Gluon::Mouse;
extends 'AI::MXNet::Gluon::NN::ChannelNorm';

has axis => (is => 'ro', isa => 'Int', default => -1);

sub hybrid_forward
{
    my ($self, $F, $x, undef, $gamma, undef, $beta) = @_;
    return $F->LayerNorm($x, $gamma, $beta, axis => $self->{axis}, eps => $self->{epsilon}, name => 'fwd');
}

__PACKAGE__->register('AI::MXNet::Gluon::NN');

package AI::MXNet::Gluon::NN::InstanceNorm;    ## no critic (ProhibitMultiplePackages)
use AI::MXNet::Gluon::Mouse;
extends 'AI::MXNet::Gluon::NN::ChannelNorm';

has axis => (is => 'ro', isa => 'Int', default => 1);

sub hybrid_forward
{
    my ($self, $F, $x, undef, $gamma, undef, $beta) = @_;
    my @eps = (eps => $self->{epsilon}, name => 'fwd');
    return $F->InstanceNorm($x, $gamma, $beta, @eps) if $self->{axis} == 1;
    my @swap = (dim1 => 1, dim2 => $self->{axis});
    return $F->swapaxes($F->InstanceNorm($F->swapaxes($x, @swap), $gamma, $beta, @eps), @swap);
}

__PACKAGE__->register('AI::MXNet::Gluon::NN');

1;
