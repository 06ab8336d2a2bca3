package AI::MXNet::HashOrdered;
use 5.014;
use strict;
use warnings;

# Answers under the name Hash::Ordered where that module is not installed. The order is kept in an array of keys; a deleted
# key leaves a hole there, which is swept when holes are the half of it.

package Hash::Ordered;    ## no critic (ProhibitMultiplePackages)

use overload
    'bool' => sub { !!%{ $_[0]{values} } },
    '0+' => sub { Scalar::Util::refaddr($_[0]) },
    '""' => sub { ref($_[0]) . sprintf('=(0x%x)', Scalar::Util::refaddr($_[0])) },
    fallback => 1;
use Scalar::Util ();
use Carp qw(croak);

our $VERSION = '0.014';

sub _odd { return croak "$_[0] requires key/value pairs" }

sub new
{
    my ($class, @pairs) = @_;
    _odd('new') if @pairs % 2;
    my $self = bless { values => {}, place => {}, keys => [], holes => 0 }, $class;
    $self->push(@pairs) if @pairs;
    return $self;
}

sub clone
{
    my ($self, @keys) = @_;
    @keys = $self->keys if not @keys;
    return ref($self)->new(map { ($_ => $self->{values}{$_}) } @keys);
}

sub keys
{    ## no critic (ProhibitBuiltinHomonyms)
    my $self = shift;
    return scalar CORE::keys %{ $self->{values} } if not wantarray;
    return grep { defined } @{ $self->{keys} };
}

sub values
{    ## no critic (ProhibitBuiltinHomonyms)
    my ($self, @keys) = @_;
    return scalar(@keys ? @keys : CORE::keys %{ $self->{values} }) if not wantarray;
    return map { $self->{values}{$_} } @keys ? @keys : $self->keys;
}

sub as_list
{
    my ($self, @keys) = @_;
    @keys = $self->keys if not @keys;
    return map { ($_ => $self->{values}{$_}) } @keys;
}

sub get { return $_[0]{values}{ $_[1] } }
sub exists { return exists $_[0]{values}{ $_[1] } }    ## no critic (ProhibitBuiltinHomonyms)

sub set
{
    my ($self, $key, $value) = @_;
    if (not CORE::exists $self->{values}{$key}) {
        CORE::push @{ $self->{keys} }, $key;
        $self->{place}{$key} = $#{ $self->{keys} };
    }
    return $self->{values}{$key} = $value;
}

sub get_or_set
{
    my ($self, $key, $value) = @_;
    return $self->{values}{$key} if CORE::exists $self->{values}{$key};
    return $self->set($key, ref $value eq 'CODE' ? $value->() : $value);
}

sub _sweep
{
    my $self = shift;
    my @keys = grep { defined } @{ $self->{keys} };
    $self->{keys} = \@keys;
    $self->{holes} = 0;
    @{ $self->{place} }{@keys} = 0 .. $#keys;
    return;
}

sub delete
{    ## no critic (ProhibitBuiltinHomonyms)
    my ($self, $key) = @_;
    return if not CORE::exists $self->{values}{$key};
    $self->{keys}[CORE::delete $self->{place}{$key}] = undef;
    my $value = CORE::delete $self->{values}{$key};
    $self->_sweep if ++$self->{holes} * 2 > @{ $self->{keys} };
    return $value;
}

sub clear
{
    my $self = shift;
    %$self = (values => {}, place => {}, keys => [], holes => 0);
    return;
}

sub push
{    ## no critic (ProhibitBuiltinHomonyms)
    my ($self, @pairs) = @_;
    _odd('push') if @pairs % 2;
    while (my ($key, $value) = splice @pairs, 0, 2) {
        $self->delete($key);
        $self->set($key, $value);
    }
    return scalar $self->keys;
}

sub unshift
{    ## no critic (ProhibitBuiltinHomonyms)
    my ($self, @pairs) = @_;
    _odd('unshift') if @pairs % 2;
    my @rest = $self->as_list;
    $self->clear;
    my %new = @pairs;
    $self->set(CORE::shift(@pairs), CORE::shift(@pairs)) while @pairs;
    while (my ($key, $value) = splice @rest, 0, 2) {
        $self->set($key, $value) if not CORE::exists $new{$key};
    }
    return scalar $self->keys;
}

sub merge
{
    my ($self, @pairs) = @_;
    _odd('merge') if @pairs % 2;
    while (my ($key, $value) = splice @pairs, 0, 2) {
        $self->set($key, $value);
    }
    return scalar $self->keys;
}

sub _take
{
    my ($self, $key) = @_;
    return if not defined $key;
    return ($key, $self->delete($key));
}

sub pop { my @keys = $_[0]->keys; return $_[0]->_take($keys[-1]) }     ## no critic (ProhibitBuiltinHomonyms)
sub shift { my @keys = $_[0]->keys; return $_[0]->_take($keys[0]) }    ## no critic (ProhibitBuiltinHomonyms)

sub iterator
{
    my ($self, @keys) = @_;
    @keys = $self->keys if not @keys;
    return sub {
        return if not @keys;
        my $key = CORE::shift @keys;
        return ($key, $self->{values}{$key});
    };
}

# Arithmetic and defaults on one value; a missing key starts as undef, at the end.
my %change = (
    preinc => sub { ++$_[0] },
    postinc => sub { $_[0]++ // 0 },
    predec => sub { --$_[0] },
    postdec => sub { $_[0]-- // 0 },
    add => sub { ($_[0] //= 0) += $_[1] // 1 },
    subtract => sub { ($_[0] //= 0) -= $_[1] // 1 },
    concat => sub { ($_[0] //= '') .= $_[1] // '' },
    or_equals => sub { $_[0] ||= $_[1] },
    dor_equals => sub { $_[0] //= $_[1] },
);
for my $name (CORE::keys %change) {
    no strict 'refs';
    my $code = $change{$name};
    *$name = sub {
        my ($self, $key, $by) = @_;
        $self->set($key, undef) if not CORE::exists $self->{values}{$key};
        return $code->($self->{values}{$key}, $by);
    };
}

# tie my %hash, 'Hash::Ordered'
*TIEHASH = \&new;
*FETCH = \&get;
*STORE = \&set;
*EXISTS = \&exists;
*DELETE = \&delete;
*CLEAR = \&clear;
sub SCALAR { return scalar CORE::keys %{ $_[0]{values} } }
sub FIRSTKEY { my $self = CORE::shift; $self->{each} = $self->iterator; return ($self->{each}->())[0] }
sub NEXTKEY { return ($_[0]{each}->())[0] }

$INC{'Hash/Ordered.pm'} //= __FILE__;    ## no critic (RequireLocalizedPunctuationVars)

1;

__END__

=head1 NAME

AI::MXNet::HashOrdered - a Hash::Ordered for where the CPAN module is missing

=head1 SYNOPSIS

    use AI::MXNet qw(mx);
    my $hash = Hash::Ordered->new(b => 1, a => 2);
    $hash->set(c => 3);
    print join(' ', $hash->keys), "\n";    # b a c

=head1 DESCRIPTION

Loading L<AI::MXNet> leaves C<Hash::Ordered> loaded: the CPAN module where it is installed, else this one, which has the
same methods: C<new clone get set exists delete clear push pop shift unshift merge keys values as_list iterator get_or_set
preinc postinc predec postdec add subtract concat or_equals dor_equals>, and C<tie>.

=cut
