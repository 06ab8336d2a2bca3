package AI::MXNet::Initializer::Others;
use 5.014;
use strict;
use warnings;

# Initializers that look at an array as a whole, or ask others: Orthogonal, Bilinear, recurrent layers, Load and Mixed.

package AI::MXNet::Orthogonal;    ## no critic (ProhibitMultiplePackages)
use Mouse;
use Mouse::Util::TypeConstraints;
use AI::MXNet::Base ();
extends 'AI::MXNet::Initializer';
has scale => (is => 'ro', isa => 'Num', default => 1.414);
has rand_type => (is => 'ro', isa => enum([qw(uniform normal)]), default => 'uniform');

# The orthogonal factor of a random matrix.
sub _init_weight
{
    my ($self, $name, $array) = @_;
    my ($rows, @rest) = @{ $array->shape };
    my $columns = AI::MXNet::Base::product(@rest);
    my $drawn =
        $self->rand_type eq 'uniform'
        ? AI::MXNet::Random->uniform(-1, 1, [$rows, $columns])
        : AI::MXNet::Random->normal(0, 1, [$rows, $columns]);
    my $tall = $rows >= $columns ? $drawn->aspdl : $drawn->aspdl->transpose;
    my ($factor) = AI::MXNet::Base::svd($tall->double);
    $factor = $factor->transpose if $rows < $columns;
    my $scaled = AI::MXNet::NDArray->array($factor->sever * $self->scale, dtype => $array->dtype);
    $array .= $scaled->reshape($array->shape);
    return;
}
__PACKAGE__->register;

package AI::MXNet::Bilinear;    ## no critic (ProhibitMultiplePackages)
use Mouse;
use POSIX ();
extends 'AI::MXNet::Initializer';

# A tent over the last two axes, the same for all others.
sub fill
{
    my $array = shift;
    my ($height, $width) = @{ $array->shape }[-2, -1];
    my $half = POSIX::ceil($width / 2);
    my $centre = (2 * $half - 1 - $half % 2) / (2 * $half);
    my $at = sub { return 1 - abs($_[0] / $half - $centre) };
    my @tent = map {
        my $y = $at->($_);
        [map { $y * $at->($_) } 0 .. $width - 1]
    } 0 .. $height - 1;
    my $window = AI::MXNet::NDArray->array(\@tent, dtype => $array->dtype, ctx => $array->context);
    $array .= $window->broadcast_to($array->shape);
    return;
}

sub _init_weight { return fill($_[2]) }
__PACKAGE__->register;

package AI::MXNet::LSTMBias;    ## no critic (ProhibitMultiplePackages)
use Mouse;
extends 'AI::MXNet::Initializer';
has forget_bias => (is => 'ro', isa => 'Num', default => 1);

sub _first { return 'forget_bias' }

# The gates are input, forget, cell, output.
sub _init_weight
{
    my ($self, $name, $array) = @_;
    my $hidden = int($array->shape->[0] / 4);
    $array .= 0;
    $array->slice([$hidden, 2 * $hidden - 1]) .= $self->forget_bias;
    return;
}
__PACKAGE__->register;

package AI::MXNet::FusedRNN;    ## no critic (ProhibitMultiplePackages)
use Mouse;
use AI::MXNet::Keshi;
extends 'AI::MXNet::Initializer';
has init => (is => 'ro');
has [qw(num_hidden num_layers)] => (is => 'ro', isa => 'Int', required => 1);
has mode => (is => 'ro', isa => 'Str', required => 1);
has bidirectional => (is => 'ro', isa => 'Bool', default => 0);
has forget_bias => (is => 'ro', isa => 'Num', default => 1);

my %gates = (rnn_relu => [''], rnn_tanh => [''], lstm => [qw(_i _f _c _o)], gru => [qw(_r _z _o)]);

sub BUILD
{
    my $self = shift;
    AI::MXNet::Keshi::fail('FusedRNN: mode got ' . $self->mode . ', want one of ' . join ' ', sort keys %gates)
        if not $gates{ $self->mode };
    return;
}

# The vector holds the weights of all layers, then their biases: for each layer and direction those from the input (i2h), then those
# from the state (h2h), gate by gate. Each piece is initialized under a name of its own.
sub _init_weight
{
    my ($self, $desc, $array) = @_;
    my $init =
        defined $self->init ? AI::MXNet::Initializer->create($self->init) : ref $desc ? $desc->global_init : undef;
    AI::MXNet::Keshi::fail('FusedRNN: init got nothing, want an initializer for its pieces') if not defined $init;
    my ($hidden, $layers) = ($self->num_hidden, $self->num_layers);
    my @gates = @{ $gates{ $self->mode } };
    my @directions = $self->bidirectional ? qw(l r) : qw(l);
    my $width = @directions * $hidden;
    my $inputs = $array->size / (@directions * @gates * $hidden) - ($layers - 1) * ($width + $hidden + 2) - $hidden - 2;
    AI::MXNet::Keshi::fail('FusedRNN: ' . $array->size . " elements do not fit $layers layers of $hidden")
        if $inputs < 1
        or $inputs != int $inputs;
    my $at = 0;

    for my $kind (qw(weight bias)) {
        for my $layer (0 .. $layers - 1) {
            for my $piece (
                map {
                    my $d = $_;
                    map { "$d${layer}_$_" } qw(i2h h2h)
                } @directions
                )
            {
                my $columns = $piece =~ /h2h/ ? $hidden : $layer ? $width : $inputs;
                my @shape = $kind eq 'weight' ? ($hidden, $columns) : ($hidden);
                my $size = $kind eq 'weight' ? $hidden * $columns : $hidden;
                for my $gate (@gates) {
                    my $part = $array->slice([$at, $at + $size - 1])->reshape(\@shape);
                    $at += $size;
                    if ($self->mode eq 'lstm' and $gate eq '_f' and $kind eq 'bias') {
                        $part .= $self->forget_bias;
                    } else {
                        $init->(AI::MXNet::InitDesc->new("$piece${gate}_$kind"), $part);
                    }
                }
            }
        }
    }
    return;
}
__PACKAGE__->register;

package AI::MXNet::Load;    ## no critic (ProhibitMultiplePackages)
use Mouse;
use AI::MXNet::Keshi;
use AI::MXNet::Logging;
extends 'AI::MXNet::Initializer';
has param => (is => 'rw', isa => 'HashRef', required => 1);
has default_init => (is => 'rw', isa => 'Maybe[AI::MXNet::Initializer]');
has verbose => (is => 'rw', isa => 'Bool', default => 0);

sub _first { return 'param' }

around BUILDARGS => sub {
    my ($orig, $class, @args) = @_;
    my $given = $class->$orig(@args);
    my $param = $given->{param};
    $param = AI::MXNet::NDArray->load($param) if defined $param and not ref $param;
    $given->{param} = { map { (s/^(?:arg|aux)://r => $param->{$_}) } keys %$param } if ref $param eq 'HASH';
    return $given;
};

sub call
{
    my ($self, $name, $array) = @_;
    my $value = $self->param->{"$name"};
    if (not defined $value) {
        AI::MXNet::Keshi::fail(
            "Cannot Initialize parameter $name. Not found in loaded param and no default Initializer " . 'is provided.')
            if not defined $self->default_init;
        $self->default_init->($name, $array);
        AI::MXNet::Logging->info('Initialized %s by default', "$name") if $self->verbose;
        return;
    }
    my ($target, $loaded) = map { join ',', @{ $_->shape } } $array, $value;
    AI::MXNet::Keshi::fail(
        "Parameter $name cannot be initialized from loading. Shape mismatch, " . "target $target vs loaded $loaded")
        if $target ne $loaded;
    $array .= $value;
    AI::MXNet::Logging->info('Initialized %s by loading', "$name") if $self->verbose;
    return;
}

package AI::MXNet::Mixed;    ## no critic (ProhibitMultiplePackages)
use Mouse;
use AI::MXNet::Keshi;
extends 'AI::MXNet::Initializer';
has patterns => (is => 'ro', isa => 'ArrayRef[Str|RegexpRef]', required => 1);
has initializers => (is => 'ro', isa => 'ArrayRef[AI::MXNet::Initializer]', required => 1);

around BUILDARGS => sub {
    my ($orig, $class, @args) = @_;
    return $class->$orig(ref $args[0] eq 'ARRAY' ? (patterns => $args[0], initializers => $args[1]) : @args);
};

sub BUILD
{
    my $self = shift;
    my ($patterns, $initializers) = map { scalar @{ $self->$_ } } qw(patterns initializers);
    AI::MXNet::Keshi::fail("Mixed: $patterns patterns and $initializers initializers, want as many of each")
        if $patterns != $initializers;
    return;
}

sub call
{
    my ($self, $name, $array) = @_;
    my ($first) = grep { "$name" =~ $self->patterns->[$_] } 0 .. $#{ $self->patterns };
    AI::MXNet::Keshi::fail(
              "Parameter name $name did not match any pattern. Consider adding a \".*\" pattern at the end "
            . 'with a default Initializer.')
        if not defined $first;
    return $self->initializers->[$first]->($name, $array);
}

1;
