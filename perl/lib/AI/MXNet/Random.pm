package AI::MXNet::Random;
use 5.014;
use strict;
use warnings;
use AI::MXNet::Keshi;
use AI::MXNet::NS;
use Scalar::Util qw(blessed);

# Parameters of each distribution in order; what stands beside them has the default of the operator, or this one.
our %DISTRIBUTION = (
    uniform => [low => 0, high => 1],
    normal => [loc => 0, scale => 1],
    exponential => [lam => 1],
    poisson => [lam => 1],
    gamma => [alpha => 1, beta => 1],
    negative_binomial => [k => 1, p => 1],
    generalized_negative_binomial => [mu => 1, alpha => 1],
    randint => [low => undef, high => undef],
);

# The names of a distribution's parameters, and their defaults.
sub _parameters
{
    my @spec = @{ $DISTRIBUTION{ $_[0] } };
    return ([@spec[grep { !($_ % 2) } 0 .. $#spec]], {@spec});
}

my %common = (shape => 1, dtype => 1, ctx => 1, out => 1, name => 1);

sub _is_array { return blessed($_[0]) && $_[0]->isa('AI::MXNet::NDArray') }

sub seed
{
    my ($class, $seed, %opt) = @_;
    my $ctx = delete $opt{ctx} // 'all';
    AI::MXNet::Keshi::fail('seed: no such named argument ' . join ', ', keys %opt) if %opt;
    return AI::MXNet::Keshi::seed($seed) if not ref $ctx and $ctx eq 'all';
    AI::MXNet::Keshi::fail("seed: ctx got '$ctx', want 'all' or an AI::MXNet::Context") if not ref $ctx;
    return AI::MXNet::Keshi::seed($seed, $ctx);
}

# Positional values, then names and values, or one hash, into names and values.
sub _arguments
{
    my ($who, $names, @args) = @_;
    my %given;
    if (ref $args[-1] eq 'HASH') {
        %given = %{ pop @args };
    }
    my %known = (%common, map { $_ => 1 } @$names);
    my @positional;
    while (@args) {
        if (defined $args[0] and not ref $args[0] and $known{ $args[0] }) {
            AI::MXNet::Keshi::fail("$who: got the name $args[-1] without a value") if @args % 2;
            %given = (%given, @args);
            last;
        }
        push @positional, shift @args;
    }
    my @order = (@$names, 'shape', 'dtype', 'ctx');
    AI::MXNet::Keshi::fail("$who: got " . @positional . ' positional arguments, want at most ' . @order)
        if @positional > @order;
    my @filled = @order[0 .. $#positional];
    @given{@filled} = @positional;
    for my $name (keys %given) {
        AI::MXNet::Keshi::fail("$who: Cannot find argument '$name', want one of @order, out")
            if not $known{$name};
    }
    return \%given;
}

sub _draw
{
    my ($name, $given) = @_;
    my ($names, $default) = _parameters($name);
    my @names = @$names;
    delete $given->{name};
    delete $given->{shape} if not defined $given->{shape};
    if (grep { _is_array($given->{$_}) } @names) {
        my %renamed = $name eq 'normal' ? (loc => 'mu', scale => 'sigma') : ();
        my ($like) = grep { _is_array($_) } @{$given}{@names};
        my @arrays =
            map { _is_array($_) ? $_ : $like->zeros_like + $_ } map { $given->{$_} // $default->{$_} } @names;
        delete @{$given}{ @names, 'ctx' };
        my $operator = "_sample_$name";
        return AI::MXNet::NDArray->$operator(@arrays, $given);
    }
    for my $parameter (@names) {
        $given->{$parameter} //= $default->{$parameter};
        AI::MXNet::Keshi::fail("$name: $parameter is missing") if not defined $given->{$parameter};
    }
    if (defined $given->{out}) {
        delete @{$given}{qw(ctx dtype)};
    } else {
        $given->{shape} //= 1;
        $given->{dtype} //= $name eq 'randint' ? 'int32' : 'float32';
        $given->{ctx} //= AI::MXNet::Context->current_ctx;
    }
    my $operator = "_random_$name";
    return AI::MXNet::NDArray->$operator($given);
}

for my $name (grep { $_ ne 'exponential' } keys %DISTRIBUTION) {
    my ($names) = _parameters($name);
    no strict 'refs';
    *$name = sub {
        my ($class, @args) = @_;
        return _draw($name, _arguments($name, $names, @args));
    };
}

# Its argument is the mean; the operator has the rate.
sub exponential
{
    my ($class, @args) = @_;
    my $given = _arguments('exponential', ['scale'], @args);
    my $scale = delete $given->{scale};
    AI::MXNet::Keshi::fail('exponential: scale got ' . ($scale // 'nothing') . ', want a number above 0')
        if not defined $scale
        or not ref $scale and $scale <= 0;
    $given->{lam} = 1 / $scale;
    return _draw('exponential', $given);
}

# The shape in front, then as those of normal.
sub _randn_arguments
{
    my @args = @_;
    my @shape;
    push @shape, shift @args while @args and not ref $args[0] and $args[0] =~ /^\d+$/;
    my $given = _arguments('randn', [qw(loc scale)], @args);
    $given->{shape} = \@shape if @shape;
    return $given;
}

sub randn
{
    my ($class, @args) = @_;
    return _draw('normal', _randn_arguments(@args));
}

sub multinomial
{
    my ($class, $probabilities, @args) = @_;
    AI::MXNet::Keshi::fail('multinomial: got ' . ($probabilities // 'undef') . ', want an AI::MXNet::NDArray')
        if not _is_array($probabilities);
    my %given = ref $args[-1] eq 'HASH' ? %{ pop @args } : ();
    my @names = qw(shape get_prob out dtype);
    my @positional;
    while (@args) {
        if (not ref $args[0] and grep { $_ eq $args[0] } @names, 'name') {
            %given = (%given, @args);
            last;
        }
        push @positional, shift @args;
    }
    @given{ @names[0 .. $#positional] } = @positional;
    delete $given{name};
    $given{get_prob} = $given{get_prob} ? 1 : 0;
    return AI::MXNet::NDArray->_sample_multinomial($probabilities,
        { map { defined $given{$_} ? ($_ => $given{$_}) : () } keys %given });
}

sub shuffle
{
    my ($class, @args) = @_;
    return AI::MXNet::NDArray->_shuffle(@args);
}

1;

__END__

=head1 NAME

AI::MXNet::Random - random arrays

=head1 SYNOPSIS

    use AI::MXNet qw(mx);
    mx->random->seed(42);
    my $x = nd->random->uniform(-1, 1, shape => [2, 3]);
    my $y = nd->random->normal(loc => 5, scale => 0.1, shape => 4);
    my $z = nd->random->randn(2, 2);
    my $w = nd->random->normal(nd->array([0, 100]), nd->array([1, 1]), shape => [3]);   # one for each element: 2x3

=head1 DESCRIPTION

The same seed gives the same numbers, whatever the number of threads. Each context has its own stream:
C<< seed($number, ctx => mx->cpu(1)) >> seeds one, C<seed($number)> all.

    uniform(low => 0, high => 1)              normal(loc => 0, scale => 1)       randn(@shape, loc => 0, scale => 1)
    exponential(scale)                        poisson(lam => 1)                  gamma(alpha => 1, beta => 1)
    negative_binomial(k => 1, p => 1)         generalized_negative_binomial(mu => 1, alpha => 1)
    randint(low, high)                        multinomial($probabilities)

Arguments are positional, named, or one hash; C<shape> (a number or a list, 1 unless given), C<dtype>, C<ctx> and C<out> go with
each. Where a parameter is an array, each of its elements is a distribution of its own: the shape of the result is that of the
parameters with C<shape> behind it.

C<multinomial> draws indices; with C<get_prob> it returns their log probabilities too.

=cut
