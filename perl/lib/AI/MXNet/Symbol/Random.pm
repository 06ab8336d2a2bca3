package AI::MXNet::Symbol::Random;
use 5.014;
use strict;
use warnings;
use AI::MXNet::Keshi;
use AI::MXNet::Random;
use Scalar::Util qw(blessed);

# Symbols of random numbers; arguments are read as those of arrays are.

sub _is_symbol { return blessed($_[0]) && $_[0]->isa('AI::MXNet::Symbol') }

# Of numbers it is one operator, of symbols another, whose inputs they are.
sub _draw
{
    my ($name, $given) = @_;
    my ($names, $default) = AI::MXNet::Random::_parameters($name);
    my @names = @$names;
    my ($like) = grep { _is_symbol($_) } @{$given}{@names};
    my $operator = "_random_$name";
    return AI::MXNet::Symbol->$operator({ map { defined $given->{$_} ? ($_ => $given->{$_}) : () } keys %$given })
        if not $like;
    my @inputs =
        map { _is_symbol($_) ? $_ : $like->zeros_like + $_ } map { $given->{$_} // $default->{$_} } @names;
    delete @{$given}{ @names, 'ctx' };
    $operator = "_sample_$name";
    return AI::MXNet::Symbol->$operator(@inputs, $given);
}

for my $name (grep { $_ ne 'exponential' } keys %AI::MXNet::Random::DISTRIBUTION) {
    my ($names) = AI::MXNet::Random::_parameters($name);
    no strict 'refs';
    *$name = sub {
        my ($class, @args) = @_;
        return _draw($name, AI::MXNet::Random::_arguments($name, $names, @args));
    };
}

# Its argument is the mean; the operator has the rate.
sub exponential
{
    my ($class, @args) = @_;
    my $given = AI::MXNet::Random::_arguments('exponential', ['scale'], @args);
    my $scale = delete $given->{scale} // 1;
    return _draw('exponential', { %$given, lam => 1 / $scale });
}

sub randn
{
    my ($class, @args) = @_;
    return _draw('normal', AI::MXNet::Random::_randn_arguments(@args));
}

sub multinomial
{
    my ($class, $probabilities, %given) = @_;
    $given{get_prob} = $given{get_prob} ? 1 : 0;
    return AI::MXNet::Symbol->_sample_multinomial($probabilities, \%given);
}

sub shuffle
{
    my ($class, @args) = @_;
    return AI::MXNet::Symbol->_shuffle(@args);
}

1;

__END__

=head1 NAME

AI::MXNet::Symbol::Random - random symbols

=head1 SYNOPSIS

    use AI::MXNet qw(mx);
    my $noise = mx->sym->random->normal(loc => 0, scale => 0.1, shape => [2, 3]);
    my $mean = mx->sym->Variable('mean');
    my $many = mx->sym->random->normal($mean, $mean * 0 + 1, shape => [4]);    # four for each element of mean
    print join(',', @{ $noise->eval->[0]->shape }), "\n";                      # 2,3

=head1 DESCRIPTION

The distributions of L<AI::MXNet::Random> as nodes of a graph, which draw anew whenever the graph runs. Parameters that are
symbols give a distribution for each of their elements.

=cut
