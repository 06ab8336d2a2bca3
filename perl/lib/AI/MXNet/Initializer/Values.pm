package AI::MXNet::Initializer::Values;
use 5.014;
use strict;
use warnings;

# Initializers that draw or set each element: constants, uniform and normal numbers, and the scaled forms of these.

package AI::MXNet::Zero;    ## no critic (ProhibitMultiplePackages)
use Mouse;
extends 'AI::MXNet::Initializer';
sub _init_weight { $_[2] .= 0; return }
__PACKAGE__->register;

package AI::MXNet::Zeros;    ## no critic (ProhibitMultiplePackages)
use Mouse;
extends 'AI::MXNet::Zero';
__PACKAGE__->register;

package AI::MXNet::One;      ## no critic (ProhibitMultiplePackages)
use Mouse;
extends 'AI::MXNet::Initializer';
sub _init_weight { $_[2] .= 1; return }
__PACKAGE__->register;

package AI::MXNet::Ones;     ## no critic (ProhibitMultiplePackages)
use Mouse;
extends 'AI::MXNet::One';
__PACKAGE__->register;

package AI::MXNet::Constant;    ## no critic (ProhibitMultiplePackages)
use Mouse;
extends 'AI::MXNet::Initializer';
has value => (is => 'ro', isa => 'Num|AI::MXNet::NDArray|PDL', required => 1);

sub _first { return 'value' }

sub _init_weight
{
    my ($self, $name, $array) = @_;
    $array .= $self->value;
    return;
}
__PACKAGE__->register;

package AI::MXNet::Uniform;    ## no critic (ProhibitMultiplePackages)
use Mouse;
extends 'AI::MXNet::Initializer';
has scale => (is => 'ro', isa => 'Num', default => 0.07);

sub _first { return 'scale' }

sub _init_weight
{
    my ($self, $name, $array) = @_;
    AI::MXNet::Random->uniform(-$self->scale, $self->scale, { out => $array });
    return;
}
__PACKAGE__->register;

package AI::MXNet::Normal;    ## no critic (ProhibitMultiplePackages)
use Mouse;
extends 'AI::MXNet::Initializer';
has sigma => (is => 'ro', isa => 'Num', default => 0.01);

sub _first { return 'sigma' }

sub _init_weight
{
    my ($self, $name, $array) = @_;
    AI::MXNet::Random->normal(0, $self->sigma, { out => $array });
    return;
}
__PACKAGE__->register;

package AI::MXNet::Xavier;    ## no critic (ProhibitMultiplePackages)
use Mouse;
use Mouse::Util::TypeConstraints;
use AI::MXNet::Keshi;
extends 'AI::MXNet::Initializer';
has rnd_type => (is => 'ro', isa => enum([qw(uniform gaussian)]), default => 'uniform');
has factor_type => (is => 'ro', isa => enum([qw(avg in out)]), default => 'avg');
has magnitude => (is => 'rw', isa => 'Num', default => 3);

sub _init_weight
{
    my ($self, $name, $array) = @_;
    my ($out, $in, @window) = @{ $array->shape };
    AI::MXNet::Keshi::fail(
              ref($self)
            . " initializer can not be applied on less than 2D tensor: $name is of shape ("
            . join(',', @{ $array->shape }) . ')')
        if not defined $in;
    for my $size (@window) {
        $_ *= $size for $in, $out;
    }
    my %factor = (avg => ($in + $out) / 2, in => $in, out => $out);
    my $scale = sqrt($self->magnitude / $factor{ $self->factor_type });
    return AI::MXNet::Random->uniform(-$scale, $scale, { out => $array }) if $self->rnd_type eq 'uniform';
    return AI::MXNet::Random->normal(0, $scale, { out => $array });
}
__PACKAGE__->register;

package AI::MXNet::MSRAPrelu;    ## no critic (ProhibitMultiplePackages)
use Mouse;
extends 'AI::MXNet::Xavier';
has slope => (is => 'ro', isa => 'Num', default => 0.25);
has '+rnd_type' => (default => 'gaussian', init_arg => undef);
has '+magnitude' => (init_arg => undef);

sub BUILD
{
    my $self = shift;
    $self->magnitude(2 / (1 + $self->slope**2));
    return;
}
__PACKAGE__->register;

1;
