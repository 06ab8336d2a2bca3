package AI::MXNet::Initializer;
use 5.014;
use strict;
use warnings;
use AI::MXNet::Keshi;
use AI::MXNet::Logging;
use AI::MXNet::InitDesc;
use AI::MXNet::Registry;
use JSON::PP ();
use Scalar::Util qw(blessed);
use Mouse;

# First values of parameters: what their names ask for, what all initializers share, and the registry.

use overload
    '""' => sub { return $_[0]->dumps },
    '&{}' => sub {
    my $self = shift;
    return sub { return $self->call(@_) }
    },
    fallback => 1;

has kwargs => (is => 'rw', isa => 'HashRef', init_arg => undef);
has [qw(_verbose _print_func)] => (is => 'rw', init_arg => undef);

# -- the registry

my %registry;

sub get_init_registry { return \%registry }

sub register
{
    my $class = shift;
    return AI::MXNet::Registry::add(\%registry, __PACKAGE__,
        'WARNING: New initializer %s.%s is overriding existing initializer %s.%s', $class);
}

# From an initializer, the name of a class in any case, or the text of an initializer.
sub create
{
    my ($class, $what, @named) = @_;
    return $what if blessed $what and $what->isa(__PACKAGE__);
    my ($name, $kwargs) = ($what // 'undef', {@named});
    ($name, $kwargs) = @{ JSON::PP->new->allow_nonref->decode($what) } if $name =~ /^\s*\[/;
    my $found = $registry{ lc $name }
        or AI::MXNet::Keshi::fail("Cannot find initializer $name, want one of " . join ' ', sort keys %registry);
    return $found->new(%{ $kwargs // {} });
}

# The arguments that make such an initializer, in the form of the attribute __init__ of a variable.
sub dumps
{
    my $self = shift;
    my ($name) = ref($self) =~ /(\w+)$/;
    my @attributes = grep { $_->name !~ m{^_} and defined $_->init_arg } $self->meta->get_all_attributes;
    my %values = map { ($_->name => $self->{ $_->name }) } @attributes;
    defined $values{$_} or delete $values{$_} for keys %values;
    return JSON::PP->new->canonical->encode([lc $name, { map { ($_ => "$values{$_}") } keys %values }]);
}

# The attribute that the first of an odd number of arguments is for, if any.
sub _first { return }

around BUILDARGS => sub {
    my ($orig, $class, @args) = @_;
    my $is_hash = @args == 1 && ref $args[0] eq 'HASH';
    return $class->$orig(@args % 2 && !$is_hash ? $class->_first : (), @args);
};

# -- printing

sub set_verbosity
{
    my ($self, $verbose, $print_func) = @_;
    $self->_verbose($verbose // 0);
    $self->_print_func($print_func // sub { return ($_[0]->norm / sqrt($_[0]->size))->asscalar });
    return $self;
}

sub _verbose_print
{
    my ($self, $desc, $how, $array) = @_;
    return if not $self->{_verbose};
    AI::MXNet::Logging->info('Initialized %s as %s: %s', "$desc", $how, $self->_print_func->($array));
    return;
}

# -- initializing

my @by_suffix = (
    [weight => '_init_weight'],
    [bias => '_init_bias'],
    [gamma => '_init_gamma'],
    [beta => '_init_beta'],
    [min => '_init_zero'],
    [max => '_init_one'],
);

sub call
{
    my ($self, $desc, $array) = @_;
    if (not blessed $desc or not $desc->isa('AI::MXNet::InitDesc')) {
        warnings::warnif('deprecated',
            'an initializer wants an InitDesc, not the name of an array: mx->init->InitDesc($name)');
        return $self->_legacy_init($desc, $array);
    }
    $desc->global_init($self) if not defined $desc->global_init;
    if (my $init = $desc->attrs->{__init__}) {
        AI::MXNet::Initializer->create($init)->_init_weight($desc, $array);
        return $self->_verbose_print($desc, $init, $array);
    }
    my $name = $desc->name;
    for my $rule (@by_suffix) {
        my ($suffix, $method) = @$rule;
        next if $name !~ /$suffix\z/;
        $self->$method($desc, $array);
        return $self->_verbose_print($desc, $suffix, $array);
    }
    return $self->_init_default($desc, $array);
}

my @by_pattern = (
    [qr/^upsampling/ => '_init_bilinear'],
    [qr/^stn_loc.*weight\z/ => '_init_zero'],
    [qr/^stn_loc.*bias\z/ => '_init_loc_bias'],
    [qr/bias\z/ => '_init_bias'],
    [qr/gamma\z/ => '_init_gamma'],
    [qr/beta\z/ => '_init_beta'],
    [qr/weight\z/ => '_init_weight'],
    [qr/moving_(?:mean|inv_var|avg)\z/ => '_init_zero'],
    [qr/moving_var\z/ => '_init_one'],
    [qr/min\z/ => '_init_zero'],
    [qr/max\z/ => '_init_one'],
);

sub _legacy_init
{
    my ($self, $name, $array) = @_;
    for my $rule (@by_pattern) {
        my ($pattern, $method) = @$rule;
        return $self->$method($name, $array) if $name =~ $pattern;
    }
    return $self->_init_default($name, $array);
}

sub _init_bilinear
{
    my ($self, $name, $array) = @_;
    return AI::MXNet::Bilinear::fill($array);
}

sub _init_loc_bias
{
    my ($self, $name, $array) = @_;
    AI::MXNet::Keshi::fail("$name: a bias of " . join('x', @{ $array->shape }) . ' elements, want 6')
        if $array->size != 6;
    $array .= [1, 0, 0, 0, 1, 0];
    return;
}

sub _init_zero { $_[2] .= 0; return }
sub _init_one { $_[2] .= 1; return }
sub _init_bias { $_[2] .= 0; return }
sub _init_gamma { $_[2] .= 1; return }
sub _init_beta { $_[2] .= 0; return }
sub _init_weight { return AI::MXNet::Keshi::fail('Virtual method, subclass must override it') }

sub _init_default
{
    my ($self, $name) = @_;
    return AI::MXNet::Keshi::fail("Unknown initialization pattern for $name. Default initialization is now limited to "
            . '"weight", "bias", "gamma" (1.0), and "beta" (0.0). Please use mx.sym.Variable(init=mx.init.*) to set '
            . 'initialization pattern');
}

sub InitDesc { shift; return AI::MXNet::InitDesc->new(@_) }
sub Load { shift; return AI::MXNet::Load->new(@_) }
sub Mixed { shift; return AI::MXNet::Mixed->new(@_) }

__PACKAGE__->meta->make_immutable;
no Mouse;

require AI::MXNet::Initializer::Values;
require AI::MXNet::Initializer::Others;

1;

__END__

=head1 NAME

AI::MXNet::Initializer - first values of parameters

=head1 SYNOPSIS

    use AI::MXNet qw(mx);
    my $weight = nd->zeros([10, 20]);
    mx->init->Xavier(magnitude => 2)->(mx->init->InitDesc('fc1_weight'), $weight);

    my $init = mx->init->Constant(0.5);
    print "$init\n";                              # ["constant",{"value":"0.5"}]

=head1 DESCRIPTION

An initializer is called with a description and an array, which it fills. The description, an L<AI::MXNet::InitDesc>, holds a name
and attributes. The attribute C<__init__> names an initializer, by the name of its class in any case or by its text, that does the
work. Else the end of the name decides: C<weight> is the initializer's own, C<bias>, C<beta> and C<min> are 0, C<gamma> and C<max>
are 1; any other name dies. A plain string for a description is deprecated, and knows more endings (C<moving_mean>, C<moving_var> ...).

=over 4

=item Zero, Zeros, One, Ones, Constant($value)

=item Uniform($scale = 0.07), Normal($sigma = 0.01)

Uniform in ±scale, or normal with that deviation.

=item Xavier(rnd_type => 'uniform', factor_type => 'avg', magnitude => 3)

Uniform in ±s, or with C<gaussian> normal with deviation s, where s is the square root of C<magnitude> over the fan: C<in>, C<out>
or C<avg>.

=item MSRAPrelu(factor_type => 'avg', slope => 0.25)

Xavier for rectifiers with that slope below 0: gaussian with C<magnitude> 2 / (1 + slope²).

=item Orthogonal(scale => 1.414, rand_type => 'uniform')

A random matrix with orthogonal rows or columns, whichever are fewer, of length C<scale>.

=item Bilinear

Weights of a convolution that interpolates.

=item LSTMBias($forget_bias), FusedRNN(init => ..., num_hidden => ..., num_layers => ..., mode => ...)

Parameters of recurrent layers: a bias that is 0 but for the forget gate, and the one vector of a fused layer.

=item Load($file or \%arrays, default_init => ..., verbose => 0)

Values from elsewhere, by name.

=item Mixed(\@patterns, \@initializers)

The initializer of the first pattern that the name matches.

=back

C<set_verbosity(1, $function)> logs each array that is filled, with what the function makes of it.

A class of one's own C<extends 'AI::MXNet::Initializer'>, defines C<_init_weight($name, $array)> and calls C<register>.

=cut
