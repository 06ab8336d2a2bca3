package AI::MXNet::DataDesc;
use 5.014;
use strict;
use warnings;
use AI::MXNet::Types;
use Mouse;

# Name, shape, dtype and layout of an array that an iterator gives.

use overload
    '""' => sub {
    my $self = shift;
    return sprintf 'DataDesc[%s,%s,%s,%s]', $self->name, join('x', @{ $self->shape }), $self->dtype, $self->layout;
    },
    '@{}' => sub { return [$_[0]->name, $_[0]->shape] },
    fallback => 1;

has name => (is => 'ro', isa => 'Str', required => 1);
has shape => (is => 'ro', isa => 'Shape', required => 1);
has dtype => (is => 'ro', isa => 'Dtype', default => 'float32');
has layout => (is => 'ro', isa => 'Str', default => 'NCHW');

around BUILDARGS => sub {
    my ($orig, $class, @args) = @_;
    return $class->$orig(@args >= 2
            && ref $args[1] eq 'ARRAY'
            && $args[0] ne 'shape' ? (name => shift @args, shape => @args) : @args);
};

# Where the batch is in a layout, -1 if nowhere.
sub get_batch_axis
{
    my ($class, $layout) = @_;
    return defined $layout ? index($layout, 'N') : 0;
}

# From a hash, or a list of pairs, of names and shapes.
sub get_list
{
    my ($class, $shapes, $types) = @_;
    my @pairs = ref $shapes eq 'HASH' ? map { [$_, $shapes->{$_}] } sort keys %$shapes : map { [@$_] } @$shapes;
    my %dtype = ref $types eq 'HASH' ? %$types : map { @$_ } @{ $types // [] };
    return [map { $class->new(name => $_->[0], shape => $_->[1], dtype => $dtype{ $_->[0] } // 'float32') } @pairs];
}

__PACKAGE__->meta->make_immutable;
no Mouse;

1;

__END__

=head1 NAME

AI::MXNet::DataDesc - describes an array that an iterator gives

=head1 SYNOPSIS

    use AI::MXNet qw(mx);
    my $desc = mx->io->DataDesc('data', [25, 10], dtype => 'float32', layout => 'NC');
    print "$desc\n";                                        # DataDesc[data,25x10,float32,NC]
    my ($name, $shape) = @$desc;
    print AI::MXNet::DataDesc->get_batch_axis('TNC'), "\n";    # 1

=head1 DESCRIPTION

C<name>, C<shape>, C<dtype> (float32) and C<layout> (NCHW). As a list it is name and shape. C<get_list(\%shapes, \%dtypes)> makes a
list of them.

=cut
