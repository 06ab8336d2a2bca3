package AI::MXNet::InitDesc;
use 5.014;
use strict;
use warnings;
use Mouse;

# What an initializer is told of an array: its name, which is its text, and its attributes.

use overload '""' => sub { return $_[0]->name }, fallback => 1;

has name => (is => 'ro', isa => 'Str', required => 1);
has attrs => (is => 'rw', isa => 'HashRef', lazy => 1, default => sub { +{} });
has global_init => (is => 'rw', isa => 'Maybe[AI::MXNet::Initializer]');

around BUILDARGS => sub {
    my ($orig, $class, @args) = @_;
    return $class->$orig(@args % 2 && !ref $args[0] ? (name => @args) : @args);
};

__PACKAGE__->meta->make_immutable;
no Mouse;

1;

__END__

=head1 NAME

AI::MXNet::InitDesc - what an initializer is told of an array

=head1 SYNOPSIS

    use AI::MXNet qw(mx);
    my $desc = mx->init->InitDesc('fc1_weight', attrs => { __init__ => 'one' });
    print "$desc\n";                              # fc1_weight
    mx->init->Zero->($desc, my $x = nd->zeros([2]));
    print $x->aspdl, "\n";                        # [1 1]

=head1 DESCRIPTION

C<name> is the text of the object; C<attrs> a hash of attributes, of which C<__init__> names an initializer that takes precedence;
C<global_init> the initializer that is used where a part has none of its own. See L<AI::MXNet::Initializer>.

=cut
