package AI::MXNet::Symbol::NameManager;
use 5.014;
use strict;
use warnings;
use AI::MXNet::Keshi;
use Scalar::Util qw(blessed);

# Names of what was not given one: of nodes of a graph, and of blocks. The manager in charge is $AI::MXNet::NameManager, so
# that a script may give it another value with local.

sub new
{
    my ($class, %arg) = @_;
    return bless { %arg, counter => {} }, ref $class || $class;
}

# The given name, or the hint with the next number.
sub get
{
    my ($self, $name, $hint) = @_;
    return $name if defined $name and length $name;
    return $hint . $self->{counter}{$hint}++;
}

sub current { return $AI::MXNet::NameManager }

sub set_current
{
    my ($class, $manager) = @_;
    AI::MXNet::Keshi::fail('set_current: got ' . ($manager // 'undef') . ', want an AI::MXNet::Symbol::NameManager')
        if not blessed($manager)
        or not $manager->isa(__PACKAGE__);
    return $AI::MXNet::NameManager = $manager;
}

# One that puts a prefix before every name, given ones too.
package AI::MXNet::Symbol::Prefix;    ## no critic (ProhibitMultiplePackages)
use strict;
use warnings;

our @ISA = ('AI::MXNet::Symbol::NameManager');    ## no critic (ProhibitExplicitISA)

sub prefix { return $_[0]{prefix} }

sub get
{
    my ($self, $name, $hint) = @_;
    return $self->{prefix} . $self->SUPER::get($name, $hint);
}

$AI::MXNet::NameManager //= AI::MXNet::Symbol::NameManager->new;

1;

__END__

=head1 NAME

AI::MXNet::Symbol::NameManager - names of nodes and blocks that were given none

=head1 SYNOPSIS

    use AI::MXNet qw(mx);
    my $names = AI::MXNet::Symbol::NameManager->new;
    print join(' ', map { $names->get(undef, 'dense') } 1 .. 2), "\n";    # dense0 dense1
    local $mx::NameManager = mx->Prefix('left_');
    print $mx::NameManager->get('weight', 'variable'), "\n";              # left_weight

=head1 DESCRIPTION

C<get($name, $hint)> is the name if one was given, else the hint with a number that counts up for each hint. C<< mx->Prefix >>
makes a manager that puts a prefix before both. C<$mx::NameManager> is the one in charge; C<set_current> or C<local> changes it.

=cut
