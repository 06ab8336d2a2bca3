package AI::MXNet::IRHeader;
use 5.014;
use strict;
use warnings;
use Mouse;

# What stands in front of a record: a count of labels, a label, and two numbers.

use overload '@{}' => sub {
    my $self = shift;
    return [map { $self->$_ } qw(flag label id id2)];
    },
    fallback => 1;

has flag => (is => 'rw', isa => 'Int');
has label => (is => 'rw', isa => 'Num|AI::MXNet::NDArray|ArrayRef|PDL');
has [qw(id id2)] => (is => 'rw', isa => 'Int');

around BUILDARGS => sub {
    my ($orig, $class, @args) = @_;
    return $class->$orig(@args) if @args != 4 or defined $args[0] and $args[0] =~ /^(?:flag|label|id2?)$/;
    my %given;
    @given{qw(flag label id id2)} = @args;
    return $class->$orig(%given);
};

__PACKAGE__->meta->make_immutable;
no Mouse;

1;

__END__

=head1 NAME

AI::MXNet::IRHeader - what stands in front of a record

=head1 SYNOPSIS

    use AI::MXNet qw(mx);
    my $header = AI::MXNet::IRHeader->new(0, 2.5, 77, 0);
    my ($flag, $label, $id, $id2) = @$header;
    my ($again, $rest) = mx->recordio->unpack(mx->recordio->pack($header, 'body'));
    print $again->label, " $rest\n";    # 2.5 body

=head1 DESCRIPTION

C<label> is a number, or several as a list, a PDL or an array; packing sets C<flag> to their count, 0 for a number, and C<label> to 0
where there are several. Unpacked, several labels are a PDL of floats. C<id> and C<id2> are whole numbers. As a list it is all four.

=cut
